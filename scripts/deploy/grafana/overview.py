"""The dashboard *Overview*: whether the service is well, and what it does."""

from typing import Final

from scripts.deploy.grafana.queries import (
    HANDLED,
    HANDLING,
    OURS,
    Graph,
    Rows,
    of,
    quantiles,
    rate,
    share,
)

_FAILURES: Final = "Unknown|Internal|DataLoss|Unavailable|DeadlineExceeded"


def _of_relays(counted: str) -> str:
    """Return the rate of a counter of relays, which are no instances of the variables."""
    return f"sum by (instance) (rate(inventory_relay_{counted}_total[$__rate_interval]))"


OVERVIEW: Final[Rows] = {
    "Is it well": [
        Graph(
            "Calls",
            "reqps",
            "By method.",
            {
                "{{grpc_method}}": rate(HANDLED, OURS, "grpc_method"),
            },
        ),
        Graph(
            "Failures of the server",
            "percentunit",
            "Refusals of the business do not count.",
            {
                "failed": share(HANDLED, f'grpc_code=~"{_FAILURES}"', OURS),
            },
        ),
        Graph(
            "Codes other than OK",
            "reqps",
            "Refusals and failures.",
            {
                "{{grpc_code}}": rate(HANDLED, f'{OURS}, grpc_code!="OK"', "grpc_code"),
            },
        ),
        Graph(
            "Duration of commands",
            "s",
            "One call each.",
            quantiles(
                HANDLING,
                'grpc_service="inventory.v1.InventoryCommands", grpc_method!="ExecuteBatch"',
            ),
        ),
        Graph(
            "Duration of queries",
            "s",
            "From the cache or the file.",
            quantiles(HANDLING, 'grpc_service="inventory.v1.InventoryQueries"'),
        ),
        Graph(
            "Accepting",
            "short",
            "1 is yes.",
            {
                "writes, worker {{worker}}": of("inventory_writes_accepted"),
                "up, worker {{worker}}": of("inventory_worker_up"),
            },
        ),
    ],
    "What is done": [
        Graph(
            "Commands by outcome",
            "ops",
            "Also those in bulk.",
            {
                "{{outcome}}": rate("inventory_commands_total", by="outcome"),
            },
        ),
        Graph(
            "Facts",
            "ops",
            "Events recorded.",
            {
                "{{fact}}": rate("inventory_events_recorded_total", by="fact"),
            },
        ),
        Graph(
            "Callers",
            "reqps",
            "Where callers are known.",
            {
                "{{actor}}": rate("inventory_caller_calls_total", by="actor"),
            },
        ),
    ],
    "What is full": [
        Graph(
            "Limits",
            "percentunit",
            "Calls that run, of the most that may.",
            {
                "{{room}}, worker {{worker}}": of("inventory_calls_in_flight")
                + f" / {of('inventory_calls_limit')}",
            },
        ),
        Graph(
            "Commands that wait",
            "short",
            "For the writer.",
            {
                "worker {{worker}}": of("inventory_mailbox_commands"),
            },
        ),
        Graph(
            "Processor",
            "percentunit",
            "1 is a whole one.",
            {
                "worker {{worker}}": rate("process_cpu_seconds_total", by="worker"),
            },
        ),
        Graph(
            "Lag of the event loop",
            "s",
            "How late timers run.",
            quantiles("inventory_event_loop_lag_seconds", by="worker"),
        ),
        Graph(
            "Memory",
            "bytes",
            "Resident.",
            {
                "worker {{worker}}": of("process_resident_memory_bytes"),
            },
        ),
        Graph(
            "Restarts",
            "short",
            "Workers replaced in an hour.",
            {
                "worker {{worker}}": f"increase({of('inventory_worker_restarts_total')}[1h])",
            },
        ),
    ],
    "Who follows": [
        Graph(
            "Followers",
            "short",
            "Open subscriptions.",
            {
                "worker {{worker}}": of("inventory_subscriptions"),
            },
        ),
        Graph(
            "Lag of the last follower",
            "short",
            "Events that it has not been sent.",
            {
                "worker {{worker}}": of("inventory_subscription_lag_events"),
            },
        ),
        Graph(
            "Events sent",
            "ops",
            "To all followers.",
            {
                "worker {{worker}}": rate("inventory_events_sent_total", by="worker"),
            },
        ),
    ],
    "Relays": [
        Graph(
            "Lag of relays",
            "short",
            "Events that they have not published, as the server told last.",
            {
                "{{instance}}": "inventory_relay_lag_events",
            },
        ),
        Graph(
            "Standing still",
            "s",
            "Up to 10 is well; more than a minute raises an alert.",
            {
                "{{instance}}": "inventory_relay_still_seconds",
            },
        ),
        Graph(
            "Published",
            "ops",
            "Events, and failures to publish them.",
            {
                "{{instance}}": _of_relays("sent"),
                "{{instance}} failed": _of_relays("failures"),
                "{{instance}} refused": _of_relays("refused"),
            },
        ),
    ],
    "Time": [
        Graph(
            "Overdue holds",
            "s",
            "How late the oldest hold is let go.",
            {
                "worker {{worker}}": of("inventory_expiry_lag_seconds"),
            },
        ),
        Graph(
            "Wall clock ahead of the log",
            "s",
            "Other than 0 after a step.",
            {
                "worker {{worker}}": of("inventory_clock_difference_seconds"),
            },
        ),
        Graph(
            "Certificate",
            "s",
            "Until it ends.",
            {
                "worker {{worker}}": of("inventory_certificate_expiry_timestamp_seconds")
                + " - time()",
            },
        ),
    ],
}
