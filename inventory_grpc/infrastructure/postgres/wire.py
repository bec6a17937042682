"""A connection on which several statements make one round trip.

Beside a busy event loop every wait costs a switch of the interpreter, about 0.5 ms, and a cursor
of psycopg waits for each statement. So statements are sent together in a pipeline, over psycopg's
wrapper of libpq, and their results are waited for together.
"""

import select
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer

from inventory_grpc.infrastructure.postgres.statement import Bound, Statement, composed

Row = tuple[Any, ...]

Trip = Generator[int, int | None, list[list[Row]]]
"""A round trip. It yields the events of `poll` that it waits for, and is sent those that came."""

ANSWER_SECONDS: Final = 10.0
"""A round trip that takes longer has failed, and the connection is closed."""

_BEGIN_READ: Final = Bound(Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
_ROLLBACK: Final = Bound(Statement("ROLLBACK"))
_COMMIT: Final = Bound(Statement("COMMIT"))
_DEALLOCATE: Final = Bound(Statement("DEALLOCATE ALL", is_prepared=False))


class Failed(psycopg.Error):
    """The server has refused a statement; `state` is its SQLSTATE."""

    def __init__(self, message: str, state: str) -> None:
        super().__init__(message)
        self.state = state


class Lost(psycopg.OperationalError):
    """The connection is lost, with all results that had not come."""


class Wire:
    """A connection; all parameters and results are binary."""

    def __init__(self, connection: psycopg.Connection[Any], *, prepares: bool = True) -> None:
        self._connection = connection
        self._prepares = prepares
        self._pg = connection.pgconn
        self._transformer = Transformer(connection)
        self._prepared: set[bytes] = set()
        self._generation = 0
        self._is_stale = False
        """Whether the server may have statements of an earlier generation."""
        self._tag = b""
        """The tag with which the server completed the last statement."""
        self._queued: list[Bound] = []
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)
        self.warnings: list[str] = []
        """The warnings of the server since the list was last emptied."""
        self.round_trips = 0
        connection.add_notice_handler(self._note)

    def _note(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warnings.append(notice.message_primary or "")

    @property
    def in_transaction(self) -> bool:
        return self._pg.transaction_status != pq.TransactionStatus.IDLE

    @property
    def is_closed(self) -> bool:
        return self._connection.closed

    @property
    def socket(self) -> int:
        """The number of its file."""
        return self._pg.socket

    def close(self) -> None:
        self._connection.close()

    def query(self, statement: Statement | str, **values: object) -> list[Row]:
        """Return the rows of a statement with these values; a text is planned each time."""
        known = composed(statement) if isinstance(statement, str) else statement
        return self.run([known.bind(**values)])[0]

    def value(self, statement: Statement | str, **values: object) -> Any:  # noqa: ANN401  of a column of any type
        """Return the first column of the first row; None if there is no row."""
        rows = self.query(statement, **values)
        return rows[0][0] if rows else None

    @contextmanager
    def one_state(self) -> Iterator[None]:
        """Run all reads in the `with` block in one snapshot; it begins with the first of them."""
        self._queued.append(_BEGIN_READ)
        try:
            yield
        finally:
            self._queued.clear()
            if not self.is_closed and self.in_transaction:
                self.run([_ROLLBACK])

    def run(self, statements: Sequence[Bound], seconds: float = ANSWER_SECONDS) -> list[list[Row]]:
        """Send *statements*, wait for all results, and return the rows of each.

        Raises:
            Failed: one was refused; those after it were not executed.
            Lost: the connection is lost, or has not answered in time.
        """
        before, self._queued = self._queued, []
        if self._is_stale and not self.in_transaction:
            self._is_stale = False
            # apart from the others: no statement may come before one that sets an isolation level
            self.run([_DEALLOCATE])
            self._prepared.clear()  # such as a ROLLBACK that came first
        statements, skipped = [*before, *statements], len(before)
        return self._waited_for(self.trip(statements), seconds)[skipped:]

    def _waited_for(self, trip: Trip, seconds: float) -> list[list[Row]]:
        """Return what *trip* returns; wait for the connection whenever it asks for that."""
        deadline = time.monotonic() + seconds
        ready = None
        while True:
            try:
                wanted = trip.send(ready)
            except StopIteration as end:
                rows: list[list[Row]] = end.value
                return rows
            self._poll.modify(self._pg.socket, wanted)
            events = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1_000)
            if not events:
                self.close()
                raise Lost("no answer in time")
            ready = events[0][1]

    def trip(self, statements: Sequence[Bound]) -> Trip:
        """Send *statements*, and return the rows of each.

        Raises:
            Failed: one was refused; those after it were not executed.
            Lost: the connection is lost.
        """
        self.round_trips += 1
        try:
            self._pg.enter_pipeline_mode()
            expected = [is_asked for one in statements for is_asked in self._send(one)]
            self._pg.pipeline_sync()
            while self._pg.flush():
                event = yield select.POLLIN | select.POLLOUT
                if event and event & select.POLLIN:
                    self._pg.consume_input()
            results = yield from self._results()
            self._pg.exit_pipeline_mode()
        except Failed:
            # it is not known which of the statements were prepared before the error
            self._generation += 1
            self._is_stale = self._prepares
            self._prepared.clear()
            self._pg.exit_pipeline_mode()
            raise
        except psycopg.OperationalError as error:
            self.close()
            raise Lost(str(error)) from error
        self._tag = results[-1].command_status or b""
        return [
            self._rows(result)
            for result, is_asked in zip(results, expected, strict=True)
            if is_asked
        ]

    def commit(self, statements: Sequence[Bound], seconds: float) -> None:
        """Send *statements* and COMMIT in one round trip.

        Raises:
            Failed: nothing was committed, such as after an error before it.
            Lost: the outcome is unknown; also after a warning, such as that the wait for a
                standby was cancelled, so that the commit may not survive.
        """
        self.warnings.clear()
        self.run([*statements, _COMMIT], seconds)
        if self._tag != b"COMMIT":
            raise Failed(f"COMMIT was answered by {self._tag.decode()}", "25P02")
        if self.warnings:
            self.close()
            raise Lost(f"COMMIT: {'; '.join(self.warnings)}")

    def _send(self, bound: Bound) -> Sequence[bool]:
        """Send a statement; return for each result to come whether it was asked for."""
        statement, parameters = bound.statement, bound.parameters
        formats = [1] * len(parameters)
        if statement.name is None or not self._prepares:
            self._pg.send_query_params(statement.sql, parameters, None, formats, 1)
            return (True,)
        name = b"%s_%d" % (statement.name, self._generation)
        is_new = name not in self._prepared
        if is_new:
            self._pg.send_prepare(name, statement.sql)
            self._prepared.add(name)
        self._pg.send_query_prepared(name, parameters, formats, 1)
        return (False, True) if is_new else (True,)

    def _results(self) -> Generator[int, int | None, list[pq.abc.PGresult]]:
        """Return the results up to the end of the pipeline."""
        results: list[pq.abc.PGresult] = []
        error: Failed | None = None
        while True:
            while self._pg.is_busy():  # `get_result` would wait without releasing the GIL
                yield select.POLLIN
                self._pg.consume_input()
            result = self._pg.get_result()
            if result is None:  # the end of one statement's results
                self._check_alive("the connection was closed")
                continue
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                if error is not None:
                    raise error
                return results
            if result.status == pq.ExecStatus.FATAL_ERROR:
                self._check_alive(result.error_message.decode(errors="replace").strip())
                error = error or _failed(result)
            results.append(result)

    def _check_alive(self, message: str) -> None:
        if self._pg.status == pq.ConnStatus.BAD:
            raise Lost(message)

    def _rows(self, result: pq.abc.PGresult) -> list[Row]:
        if not result.ntuples:
            return []
        self._transformer.set_pgresult(result)
        rows: list[Row] = self._transformer.load_rows(0, result.ntuples, tuple)
        return rows


def _failed(result: pq.abc.PGresult) -> Failed:
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
    state = result.error_field(pq.DiagnosticField.SQLSTATE) or b""
    detail = result.error_field(pq.DiagnosticField.MESSAGE_DETAIL) or b""
    texts = [text.decode(errors="replace") for text in (message, detail) if text]
    return Failed(": ".join(texts), state.decode())
