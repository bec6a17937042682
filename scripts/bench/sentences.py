"""Sentences with figures, for the documents.

`{part|series}` is the last figure of a series, and `{part|series|field}` is something else of it.
"""

import re
from textwrap import fill
from typing import Final

from scripts.bench.results import Parts
from scripts.bench.tables import number

_WIDTH: Final = 135
_NAMED: Final = re.compile(r"{([^|}]+)\|([^|}]+)\|?([^}]*)}")
_CODE: Final = re.compile(r"`[^`]*`")

SENTENCES: Final = {
    "six figures": """\
- 64 callers together read {reads|GetStock} stocks a second with `GetStock`:
  {reads|GetStock|ratio} of the rate of a gRPC server that does nothing.
- They add {commands|AddStock, spread} times a second with `AddStock`, each answered once it is
  durable, 99 of 100 within {commands|AddStock, spread|p99_ms} ms.
- In bulk (many commands in a message), {bulk|ExecuteStream, known} commands a second are recorded.
- A new follower reads {catch-up|Subscribe} events a second; with {followers|deliveries|at}
  followers and 200 commands a second, the median delay is {followers|deliveries|p50_ms} ms.
- With {growth|resident memory|at} events in the log, the server takes {growth|resident memory} MB
  of memory, and answers {growth|first answer after a start} s after a start.
- An event takes {growth|on disk} bytes on disk there, all included.

Measured by {reads|facts|command} on {reads|facts|machine}.
""",
    "capacity": """\
- One process answers {reads|GetStock} `GetStock` a second, or records {commands|AddStock, spread}
  `AddStock`, or {carts|reserve, commit} carts that are reserved and committed.
- In bulk it records {bulk|ExecuteStream, known} commands a second.
- {followers|deliveries|at} followers of 200 events a second see half of them within
  {followers|deliveries|p50_ms} ms.
- With {growth|resident memory|at} events in the log, a process takes {growth|resident memory} MB
  of memory, and answers {growth|first answer after a start} s after a start.
- An event takes {growth|on disk} bytes on disk, and {disk|with UUIDs} where all ids are UUIDs.
- In a log of {request-ids|random|at} events, a command in bulk with a random request id takes
  {request-ids|random|ratio} times the processor time of one with a time-ordered id.

Measured by {reads|facts|command} on {reads|facts|machine}.
""",
    "bounds": """\
- **A call**: gRPC and the kernel. Of the {profile|in all|GetStock} µs of a `GetStock`, gRPC takes
  {profile|gRPC|GetStock} and the kernel {profile|kernel|GetStock}. Python takes
  {profile|Python|GetStock}, and {profile|Python|echo} for an echo; the rest is for interceptors,
  log, cache and answer.
- **Bulk**: the interpreter, which runs one thread at a time. Of the
  {profile|in all|event of ExecuteStream} µs of an event, Python takes
  {profile|Python|event of ExecuteStream}, the kernel {profile|kernel|event of ExecuteStream} and
  SQLite {profile|SQLite|event of ExecuteStream}.
- **Two workers**: the cores. Beside callers on the same cores, two echo servers reach
  {workers|echo, 2 processes|ratio} of the rate of one, and two workers
  {workers|GetStock, 2 workers|ratio}.
- **Writes in a large log**: SQLite, which has each stock on a page of its own. From the smallest
  log to the largest, SQLite alone keeps {growth|SQLite alone|kept} of its rate, and bulk beside it
  {growth|ExecuteStream beside it|kept}.
""",
    "replay": """\
- {replay|stocks} stocks arrive in bulk in {replay|stock stores} s. Then
  {replay|baskets} baskets with {replay|lines} lines are sold in
  {replay|sell baskets} s. With all comparisons, the replay takes {replay|in all} s.
- It records {replay|events} events, which take {replay|bytes an event} bytes each on disk, and
  finds {replay|differences} differences.
""",
}


def filled(name: str, parts: Parts) -> str:
    """Return the sentences of this name, with their figures.

    Raises:
        KeyError: the part of a figure was not measured.
        IndexError: the series of a figure was not measured.
    """
    text = _NAMED.sub(lambda named: _figure(parts, *named.groups()), SENTENCES[name])
    return "".join(_wrapped(line) for line in text.replace("\n  ", " ").splitlines())


def _wrapped(line: str) -> str:
    """Break a line at spaces, but for those in code."""
    kept = _CODE.sub(lambda code: code[0].replace(" ", "\0"), line)
    broken = fill(
        kept, _WIDTH, subsequent_indent="  " if line.startswith("-") else "", break_on_hyphens=False
    )
    return broken.replace("\0", " ") + "\n"


def _figure(parts: Parts, part: str, series: str, field: str) -> str:
    if series == "facts":
        return parts[part].facts[field]
    figures = parts[part].of(series)
    last = figures[-1]
    if field == "at":
        return f"{last.at:,.0f}"
    if field == "ratio":
        return f"{last.ratios[0].value:.2f}"
    if field == "kept":
        return f"{last.value / figures[0].value:.2f}"
    if field in parts[part].places:
        last = figures[parts[part].places.index(field)]
    value = getattr(last, field, last.value)
    return number(value) if last.unit else f"{value:,.0f}"
