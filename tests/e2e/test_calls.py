"""The commands that call a server by hand."""

import csv
import inspect
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from select import select
from shlex import split
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from inventory_grpc.cli import app
from inventory_grpc.cli.calls import NOUNS, commands, session
from inventory_grpc.cli.calls.verb import Verb
from inventory_grpc.cli.calls.verbs import STATUS, VERBS
from inventory_grpc.cli.calls.words import OTHER_WORDS
from inventory_grpc.client import SyncInventoryClient
from inventory_grpc.testing import InventoryServer
from tests.support.server_process import COMMAND, ENVIRONMENT
from tests.support.waiting import eventually

Run = Callable[..., Result]

OTHERWISE: Final = {"close", "subscribe", "events", "batch_get_stock"}
"""Methods of the client that are no verbs: `watch` and `stock history` show events."""

ENVELOPE: Final = {"position", "request_id", "replayed"}


@pytest.fixture(scope="module")
def server() -> Iterator[InventoryServer]:
    with InventoryServer() as running:
        yield running


@pytest.fixture
def run(server: InventoryServer) -> Run:
    def run(*words: str, **environment: str) -> Result:
        known = {"INVENTORY_SERVER": server.address, "COLUMNS": "120", **environment}
        return CliRunner().invoke(app, words, env=known)

    return run


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_call_of_the_client_has_a_command() -> None:
    public = {name for name in dir(SyncInventoryClient) if not name.startswith("_")}
    calls = {name for name in public if not name.startswith("execute_")} - OTHERWISE
    assert {verb.call.__name__ for verb in (*VERBS, STATUS)} == calls
    assert {verb.noun for verb in VERBS} == {*NOUNS}


def test_the_example_of_each_command_works(run: Run) -> None:
    with InventoryServer() as empty:
        _run_examples(partial(run, INVENTORY_SERVER=empty.address))


def _run_examples(run: Run) -> None:
    for product in ["mug"] * 6 + ["kettle"] * 3:  # one of them is at position 7
        run("stock", "add", product, "lisbon", "9")
    for verb in sorted(VERBS, key=_comes_first):
        done = run(*split(f"{verb.command} {verb.example}"))
        reason = done.stderr.partition(":")[0]
        allowed = REFUSED.get(verb.command)
        assert (done.exit_code, reason) == (3, allowed) if allowed else done.exit_code == 0, (
            f"{verb.command}: {done.output}"
        )


REFUSED: Final = {
    "cart amend": "RESERVATION_CLOSED",
    "cart release": "RESERVATION_CLOSED",
    "cart extend": "RESERVATION_CLOSED",
}
"""The examples after the sale of the cart."""


def _comes_first(verb: Verb) -> int:
    first = ("store put", "product put", "policy set", "stock add", "cart reserve", "cart commit")
    last = ("product retire", "store retire", "stock reverse")
    if verb.command in first:
        return first.index(verb.command)
    return 100 + (last.index(verb.command) + 1 if verb.command in last else 0)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.command)
def test_the_help_of_each_command_says_what_every_option_is(verb: Verb) -> None:
    made = commands.command(verb)
    for parameter in inspect.signature(made).parameters.values():
        [how] = parameter.annotation.__metadata__
        assert how.help, f"{verb.command} {parameter.name}"
    shown = CliRunner().invoke(app, [*split(verb.command), "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"inventory-grpc {verb.command} {verb.example}".rstrip() in shown.stdout


def test_the_list_of_commands_imports_no_grpc() -> None:
    script = "import sys; from inventory_grpc.cli import app; sys.exit('grpc' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, check=True)


def test_stock_is_received_reserved_sold_and_corrected(run: Run) -> None:
    run("stock", "add", "lamp", "porto", "5", "--reference", "delivery-9")
    [cart] = rows(run("cart", "reserve", "lamp", "porto", "2", "--customer", "ana"))
    assert cart["state"] == "ACTIVE"
    assert cart["lines"][0]["held"] == 2
    assert cart.keys() >= ENVELOPE
    [sold] = rows(run("cart", "commit", cart["reservation_id"], "--order", "order-12"))
    assert sold["state"] == "COMMITTED"
    [left] = rows(run("stock", "adjust", "lamp", "porto", "--delta", "-1", "--reason", "broken"))
    assert left["on_hand"] == 2
    history = rows(run("stock", "history", "lamp", "porto"))
    assert [event["reason"] for event in history] == ["broken", "", "", ""]
    assert history[-1]["reference"] == "delivery-9"
    first = str(history[-1]["position"])
    [before] = rows(run("stock", "get", "lamp", "porto", "--as-of-position", first))
    assert before["on_hand"] == 5


def test_a_table_has_columns_and_csv_has_a_head(run: Run) -> None:
    run("stock", "add", "spoon", "porto", "12")
    table = run("stock", "list", "--product", "spoon", "-o", "table")
    head, row = table.stdout.splitlines()
    assert head.split() == ["product", "store", "available", "on", "hand", "reserved", "version"]
    assert row.split() == ["spoon", "porto", "12", "12", "0", "1"]
    shown = run("stock", "list", "--product", "spoon", "-o", "csv").stdout
    assert [*csv.DictReader(io.StringIO(shown))] == [
        {
            "product_id": "spoon",
            "store_id": "porto",
            "available": "12",
            "on_hand": "12",
            "reserved": "0",
            "version": "1",
        }
    ]


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_the_state_of_a_server_is_shown(run: Run, output: str) -> None:
    shown = run("status", "-o", output)
    assert shown.exit_code == 0
    assert "ACCEPTED" in shown.stdout


def test_a_request_id_makes_it_safe_to_run_again(run: Run) -> None:
    adding = ("stock", "add", "fork", "porto", "1", "--request-id", "delivery-10")
    [first], [again] = rows(run(*adding)), rows(run(*adding))
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["position"] == again["position"]
    shown = run(*adding, "-o", "table")
    assert f"position {first['position']}, recorded before, request id" in shown.stderr
    assert run(*adding, "-o", "table", "--quiet").stderr == ""


def test_a_refusal_begins_with_its_reason(run: Run) -> None:
    refused = run("stock", "remove", "unknown", "porto", "1")
    assert refused.exit_code == 3
    assert refused.stderr.startswith("INSUFFICIENT_STOCK: unknown in porto")
    assert refused.stdout == ""


def test_an_invalid_value_is_told_by_its_option(run: Run) -> None:
    counted = run("stock", "adjust", "kettle", "lisbon", "--on-hand", "7", "--reason", "count")
    assert counted.exit_code == 3
    assert counted.stderr == (
        "INVALID_VALUE: --expected-version: is missing; --on-hand requires it, "
        "--expected-on-hand or --unconditional\n"
    )
    adjusted = run("stock", "adjust", "kettle", "lisbon", "--reason", "count")
    assert "must be --delta or --on-hand" in adjusted.stderr
    named = run("stock", "add", "red kettle", "lisbon", "1")
    assert named.stderr.startswith("INVALID_VALUE: PRODUCT: has ' ' as character 4")


def test_no_command_without_a_word_changes_all_stocks(run: Run) -> None:
    run("policy", "set", "--safety-stock", "1")
    shown = run("policy", "set")
    assert shown.exit_code == 2
    assert "--safety-stock" in shown.output
    [policy] = rows(run("policy", "get"))
    assert policy["policy"] == {"safety_stock": 1}
    run("policy", "set", "--reason", "cleared")
    assert rows(run("policy", "get"))[0]["policy"] == {}


def test_words_of_the_trade_lead_to_commands() -> None:
    commands_there = {verb.command for verb in VERBS}
    for word, meant in OTHER_WORDS.items():
        assert word not in commands_there
        named = re.findall(r"`(\w+ \w+)", meant)
        assert named
        assert {*named} <= commands_there


def test_a_server_that_is_not_there_is_told(run: Run) -> None:
    for words in (("status",), ("stock", "add", "kettle", "lisbon", "1")):
        away = run(*words, "--timeout", "0.5", INVENTORY_SERVER="127.0.0.1:1")
        assert away.exit_code == 4
        assert re.search("127.0.0.1:1: (UNAVAILABLE|DEADLINE_EXCEEDED)", away.stderr)


def test_a_command_that_waits_for_its_server_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "PATIENCE_SECONDS", 0.05)
    words, waits = ("status", "--timeout", "0.5"), "waiting for 127.0.0.1:1, for at most 0.5 s"
    assert waits in run(*words, INVENTORY_SERVER="127.0.0.1:1").stderr
    assert waits not in run(*words, "--quiet", INVENTORY_SERVER="127.0.0.1:1").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stock add kettle lisbon five", "'five' is no whole number"),
        ("stock add kettle lisbon 1,000", "'1,000' is no whole number"),
        ("stock adjust kettle lisbon --delta 1", "Missing option '--reason'"),
        ("stock reverse 7", "Missing option '--reason'"),
        ("stock receive kettle lisbon 1", "No such command 'receive'. Use `stock add`"),
        ("cart reserve kettle lisbon --customer ana", "the last one is incomplete"),
        ("cart reserve kettle lisbon two --customer ana", "'two' is no quantity"),
        ("cart reserve kettle lisbon --2 --customer ana", "No such option"),
        ("cart release cart-7 kettle lisbon -- --2", "'--2' is no quantity"),
        ("cart extend cart-7 --ttl soon", "no span such as 90s"),
        ("cart extend cart-7 --ttl 9999999999d", "no span such as 90s"),
        ("stock get kettle lisbon --as-of-time 0001-01-01T00:00+10:00", "no time such as"),
        ("stock get kettle lisbon --as-of-time noon", "no time such as"),
        ("product put kettle --attribute red", "no pair such as colour=red"),
        ("store put lisbon --kind castle", "castle"),
        ("stock list --limit 0", "limit"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(run: Run, words: str, said: str) -> None:
    wrong = run(*split(words), COLUMNS="200", INVENTORY_SERVER="127.0.0.1:1")
    assert wrong.exit_code == 2
    assert said in wrong.stderr


@pytest.mark.parametrize(
    "words",
    [
        "stock list --ca nowhere.pem",
        "stock list --token-file nowhere",
        "stock adjust kettle lisbon --delta 1 --on-hand 2 --reason x",
    ],
)
def test_values_that_the_client_refuses_are_told_in_a_line(run: Run, words: str) -> None:
    wrong = run(*split(words))
    assert wrong.exit_code == 1
    assert wrong.stderr.startswith("error: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_a_list_is_read_in_pages_up_to_its_limit(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PAGE", 2)
    for number in range(5):
        run("stock", "add", f"cup-{number}", "faro", "1")
    listed = run("stock", "list", "--store", "faro", "--limit", "3")
    assert [row["product_id"] for row in rows(listed)] == ["cup-0", "cup-1", "cup-2"]
    assert "there may be more than these 3: raise --limit" in listed.stderr
    whole = run("stock", "list", "--store", "faro")
    assert len(rows(whole)) == 5
    assert whole.stderr == ""


def test_words_of_others_cannot_write_to_the_terminal(run: Run) -> None:
    run("product", "put", "bell", "--name", "\x1b[2Jbell [red]")
    shown = run("product", "get", "bell", "-o", "table").stdout
    assert "\x1b" not in shown
    assert "[red]" in shown


async def test_levels_are_watched(watching: "subprocess.Popen[str]", run: Run) -> None:
    # it shows what happens from its start on, of which nothing tells
    await eventually(lambda: _moved(run) and _has_written(watching))
    assert watching.stdout
    line = json.loads(watching.stdout.readline())
    assert (line["product_id"], line["store_id"]) == ("kettle", "evora")
    assert line["available"] >= 1


@pytest.fixture
def watching(server: InventoryServer) -> "Iterator[subprocess.Popen[str]]":
    environment = {**ENVIRONMENT, "INVENTORY_SERVER": server.address}
    command = [*COMMAND, "watch", "--store", "evora"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


def _moved(run: Run) -> bool:
    return run("stock", "add", "kettle", "evora", "1").exit_code == 0


def _has_written(process: "subprocess.Popen[str]") -> bool:
    assert process.stdout
    return bool(select([process.stdout], [], [], 0.2)[0])
