"""The dashboard *Storage*: transactions beside calls, and the file."""

from typing import Final

from scripts.deploy.grafana.queries import HANDLING, Graph, Rows, of, quantiles, rate, share

STORAGE: Final[Rows] = {
    "Writing": [
        Graph(
            "Transactions",
            "s",
            "With the sync to disk.",
            quantiles("inventory_transaction_seconds", by="kind"),
        ),
        Graph(
            "Commands, as callers see them",
            "s",
            "Beside it: what is more, they have waited.",
            quantiles(HANDLING, 'grpc_service="inventory.v1.InventoryCommands"'),
        ),
        Graph(
            "Transactions a second",
            "ops",
            "By kind.",
            {
                "{{kind}}": rate("inventory_transaction_seconds_count", by="kind"),
            },
        ),
        Graph(
            "Commands a transaction",
            "short",
            "More under load: they share one sync.",
            quantiles("inventory_transaction_commands"),
        ),
        Graph(
            "Circuit breaker",
            "short",
            "1 for its state.",
            {
                "{{state}}, worker {{worker}}": of("inventory_circuit_breaker"),
            },
        ),
        Graph(
            "Changes of the circuit breaker",
            "ops",
            "By the new state.",
            {
                "{{state}}": rate("inventory_circuit_breaker_changes_total", by="state"),
            },
        ),
    ],
    "The file": [
        Graph(
            "Size",
            "bytes",
            "The WAL is emptied again and again.",
            {
                "{{part}}": f"max by (instance, part) ({of('inventory_database_bytes')})",
            },
        ),
        Graph(
            "Disk",
            "percentunit",
            "What is free.",
            {
                "free": f"min by (instance) ({of('inventory_disk_free_bytes')}"
                f" / {of('inventory_disk_size_bytes')})",
            },
        ),
        Graph(
            "Checkpoints",
            "s",
            "The time to empty the WAL.",
            quantiles("inventory_checkpoint_seconds"),
        ),
        Graph(
            "Head of the log",
            "short",
            "Its position.",
            {
                "worker {{worker}}": of("inventory_head_position"),
            },
        ),
    ],
    "Reading": [
        Graph(
            "Found in the cache",
            "percentunit",
            "Of the look-ups.",
            {
                name: share("inventory_cache_lookups_total", 'result="hit"', f'cache="{name}"')
                for name in ("queries", "commands")
            },
        ),
        Graph(
            "Kept at hand",
            "short",
            "States.",
            {
                "{{cache}}, worker {{worker}}": of("inventory_cache_entries"),
            },
        ),
    ],
}
