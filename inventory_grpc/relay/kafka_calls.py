"""Calls of the library of Kafka: in one thread, in bounded steps, with the errors of a target."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from inventory_grpc.relay.target import Overtaken, Unfit, Unreachable

SECONDS: Final = 10.0
"""The longest time for an answer, and for storing a batch."""

STEP_SECONDS: Final = 0.5
"""A call in a thread cannot be cancelled: it ends so soon, and is repeated."""

NOT_YET: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001  so the library names its own errors
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
    }
)

_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,  # noqa: SLF001
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.PRODUCER_FENCED,
    }
)

REFUSED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001
        KafkaError._INVALID_ARG,  # noqa: SLF001
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.UNSUPPORTED_VERSION,
    }
)
"""The errors that an operator has to see to."""

_T = TypeVar("_T")

_log_of_library = logging.getLogger(f"{__name__}.librdkafka")
_log_of_library.addHandler(logging.NullHandler())
_log_of_library.propagate = False  # its errors come as exceptions, too


class Calls:
    """Calls to the brokers at *servers*."""

    def __init__(self, servers: str, options: Mapping[str, str]) -> None:
        self.options: Mapping[str, Any] = {
            "client.id": "inventory-grpc relay",
            "socket.timeout.ms": milliseconds(SECONDS),
            **options,
            "bootstrap.servers": servers,
            "logger": _log_of_library,
            "error_cb": self._note,
        }
        self._servers = servers
        self._thread = ThreadPoolExecutor(1, "kafka")
        self._ending = threading.Event()
        self._trouble = ""
        self._refusal: KafkaError | None = None

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return the result of *work* in the thread.

        Raises:
            Overtaken, Unfit, Unreachable: for an error of the library.
        """
        try:
            return await asyncio.wrap_future(self._thread.submit(work))
        except KafkaException as error:
            raise self._failure(error.args[0]) from error

    def renew(self) -> None:
        """Forget the errors of a connection before."""
        self._trouble, self._refusal = "", None

    def repeat(self, attempt: Callable[[float], _T], client: Consumer | Producer) -> _T:
        """Repeat *attempt*, which takes its longest time, until it succeeds or fails for good."""
        until = deadline()
        while True:
            try:
                return attempt(STEP_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in NOT_YET:
                    raise
            client.poll(0)  # which calls `_note`
            self.check(until)
            self._ending.wait(0.01)

    def check(self, until: float) -> None:
        """Raise an error if the brokers refuse, the time is over, or the relay ends."""
        if self._refusal is not None:
            raise KafkaException(self._refusal)
        if self._ending.is_set() or time.monotonic() > until:
            raise Unreachable(f"{self._servers}: {self._trouble or 'no answer'}")

    async def close(self) -> None:
        """End the thread, after the step that it is in."""
        self._ending.set()
        await asyncio.wrap_future(self._thread.submit(lambda: None))
        self._thread.shutdown(wait=False)

    def _note(self, error: KafkaError) -> None:
        if error.code() in REFUSED:
            self._refusal = error
        elif error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  it tells nothing more
            self._trouble = error.str()

    def _failure(self, error: KafkaError) -> Exception:
        what = f"{self._servers}: {error.str()}"
        if error.code() in _FENCED:
            return Overtaken(what)
        return Unfit(what) if error.code() in REFUSED else Unreachable(what)


def deadline() -> float:
    return time.monotonic() + SECONDS


def milliseconds(seconds: float) -> int:
    return round(seconds * 1_000)
