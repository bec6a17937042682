"""Refusals for technical reasons.

Refusal
  RequestIdReused     the request id was used for another request
  PositionAhead       the position is beyond the end of the log
  OtherLog            the position belongs to another log
  Unavailable         the request can be sent again later
    Overloaded          the backlog is too long
    ReadsRefused        storage has failed a read
    WritesRefused       storage has failed: no writes until it has recovered
    StorageFull         the disk is full: no writes until there is space
    ShuttingDown        this server is shutting down
  OutcomeUnknown      the request may or may not have been recorded
  LogDamaged          stored data is damaged, or lacks events that were seen
  Unauthenticated     the caller could not be authenticated
  PermissionDenied    the caller may not do this
  Internal            a bug; the server's log has the details
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from inventory_grpc.domain.refusals import Refusal


@dataclass(eq=False)
class RequestIdReused(Refusal):
    request_id: str

    def __str__(self) -> str:
        return f"request id {self.request_id} was used for another request"

    def facts(self) -> Mapping[str, str]:
        return {"request_id": self.request_id}


@dataclass(eq=False)
class PositionAhead(Refusal):
    position: int
    head: int

    def __str__(self) -> str:
        return f"position {self.position} is beyond the log, which ends at {self.head}"

    def facts(self) -> Mapping[str, str]:
        return {"position": str(self.position), "head_position": str(self.head)}


@dataclass(eq=False)
class OtherLog(Refusal):
    asked: str
    log_id: str
    end: int | None = None
    """The last position under the id that was asked for, if the log once had it."""

    def __str__(self) -> str:
        former = "" if self.end is None else f" since position {self.end}"
        return f"this log is {self.log_id}, not {self.asked}{former}; start from the beginning"

    def facts(self) -> Mapping[str, str]:
        return {"log_id": self.log_id, "asked_log_id": self.asked}


@dataclass(eq=False)
class Unavailable(Refusal):
    """Nothing was done; the same request can be sent again later."""

    retry_seconds: float

    def facts(self) -> Mapping[str, str]:
        return {"retry_ms": str(round(self.retry_seconds * 1000))}


class Overloaded(Unavailable):
    def __str__(self) -> str:
        return "the server is overloaded; try again later"


@dataclass(eq=False)
class ReadsRefused(Unavailable):
    why: str

    def __str__(self) -> str:
        return f"reads are refused: {self.why}"

    def facts(self) -> Mapping[str, str]:
        return {**super().facts(), "why": self.why}


@dataclass(eq=False)
class WritesRefused(Unavailable):
    why: str

    def __str__(self) -> str:
        return f"writes are refused: {self.why}"

    def facts(self) -> Mapping[str, str]:
        return {**super().facts(), "why": self.why}


class StorageFull(Unavailable):
    def __str__(self) -> str:
        return "the disk is full; writes are refused until there is space"


class ShuttingDown(Unavailable):
    def __str__(self) -> str:
        return "this server is shutting down; connect again"


@dataclass(eq=False)
class OutcomeUnknown(Refusal):
    """Storage failed during the commit: the request may or may not have been recorded."""

    request_id: str

    def __str__(self) -> str:
        if self.request_id:
            return "storage failed during the commit; send the same request again to find out"
        return (
            "storage failed during the commit; read before you send this again, "
            "or use a request_id, which makes a retry safe"
        )

    def facts(self) -> Mapping[str, str]:
        return {"request_id": self.request_id} if self.request_id else {}


@dataclass(eq=False)
class LogDamaged(Refusal):
    is_rewound: bool = False
    """Whether the log is sound, but lacks events that were seen."""

    def __str__(self) -> str:
        if self.is_rewound:
            return (
                "the log lacks events that were seen, or is another one, as after a failover or a "
                "restore; see the server's log"
            )
        return "stored data is damaged; run `inventory-grpc verify` and restore from a backup"


class Unauthenticated(Refusal):
    """The caller could not be authenticated; the reason is withheld on purpose."""

    def __str__(self) -> str:
        return "the caller is not authenticated; send the metadata `authorization: Bearer TOKEN`"


@dataclass(eq=False)
class PermissionDenied(Refusal):
    method: str = ""
    store_id: str = ""
    needs_all_stores: bool = False

    def __str__(self) -> str:
        if self.store_id:
            return f"store {self.store_id} is not one of the caller's"
        if self.needs_all_stores:
            return f"{self.method} needs a caller with all stores"
        return f"the caller's role does not allow {self.method}"

    def facts(self) -> Mapping[str, str]:
        named = {"method": self.method, "store_id": self.store_id}
        return {fact: value for fact, value in named.items() if value}


@dataclass(eq=False)
class Internal(Refusal):
    """A bug; the server's log has the traceback, under the id."""

    error_id: str

    def __str__(self) -> str:
        return f"internal error {self.error_id}; see the server's log"

    def facts(self) -> Mapping[str, str]:
        return {"error_id": self.error_id}


def bug(log: logging.Logger, error: BaseException, where: str = "") -> Internal:
    """Log *error* under a new id, and return a refusal with that id only."""
    error_id = secrets.token_hex(4)
    log.error("internal error %s%s", error_id, where and f" in {where}", exc_info=error)
    return Internal(error_id)
