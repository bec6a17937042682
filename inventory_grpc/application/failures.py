"""Refusals for reasons that are not the trade's.

Refusal
  RequestIdReused     the request id was used for something else
  PositionAhead       the log does not reach that far
  OtherLog            the position belongs to another log
  Unavailable         try again, later
    Overloaded          more is waiting than can be done in time
    ReadsRefused        storage is in trouble: this could not be read
    WritesRefused       storage is in trouble: no writes until it works again
    StorageFull         the disk is full: no writes until there is room
    ShuttingDown        this server is going away
  OutcomeUnknown      it may have been recorded, or not
  LogDamaged          what is stored is not what was written
  Unauthenticated     nobody knows who calls
  PermissionDenied    the caller may not do this
  Internal            a bug; the server's log knows more
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from inventory_grpc.domain.refusals import Refusal


@dataclass(eq=False)
class RequestIdReused(Refusal):
    """Another request was recorded under this id."""

    request_id: str

    def __str__(self) -> str:
        return f"request id {self.request_id} was used for another request"

    def facts(self) -> Mapping[str, str]:
        return {"request_id": self.request_id}


@dataclass(eq=False)
class PositionAhead(Refusal):
    """The position is beyond the end of the log."""

    position: int
    head: int

    def __str__(self) -> str:
        return f"position {self.position} is beyond the log, which ends at {self.head}"

    def facts(self) -> Mapping[str, str]:
        return {"position": str(self.position), "head_position": str(self.head)}


@dataclass(eq=False)
class OtherLog(Refusal):
    """The caller followed another log: its positions mean nothing here."""

    asked: str
    log_id: str

    def __str__(self) -> str:
        return f"this log is {self.log_id}, not {self.asked}; start from the beginning"

    def facts(self) -> Mapping[str, str]:
        return {"log_id": self.log_id, "asked_log_id": self.asked}


@dataclass(eq=False)
class Unavailable(Refusal):
    """Nothing was done; the same request may be sent again after a while."""

    retry_seconds: float

    def facts(self) -> Mapping[str, str]:
        return {"retry_ms": str(round(self.retry_seconds * 1000))}


class Overloaded(Unavailable):
    """More is waiting than can be done in time."""

    def __str__(self) -> str:
        return "more is waiting than can be done in time; try again"


@dataclass(eq=False)
class ReadsRefused(Unavailable):
    """Storage is in trouble, and what was asked cannot be read for now."""

    why: str

    def __str__(self) -> str:
        return f"it cannot be read for now: {self.why}"

    def facts(self) -> Mapping[str, str]:
        return {**super().facts(), "why": self.why}


@dataclass(eq=False)
class WritesRefused(Unavailable):
    """Storage is in trouble; reads go on."""

    why: str

    def __str__(self) -> str:
        return f"writes are refused: {self.why}"

    def facts(self) -> Mapping[str, str]:
        return {**super().facts(), "why": self.why}


class StorageFull(Unavailable):
    """The disk is full; reads go on, and writes as soon as there is room."""

    def __str__(self) -> str:
        return "the disk is full; writes are refused until there is room"


class ShuttingDown(Unavailable):
    """This server is going away; another one may be there."""

    def __str__(self) -> str:
        return "this server is shutting down; connect again"


@dataclass(eq=False)
class OutcomeUnknown(Refusal):
    """Storage failed while recording: the request may have been recorded, or not."""

    request_id: str

    def __str__(self) -> str:
        if self.request_id:
            return "storage failed while recording; send the same request again to learn more"
        return (
            "storage failed while recording; read before you send this again, "
            "or send a request_id, which makes it safe"
        )

    def facts(self) -> Mapping[str, str]:
        return {"request_id": self.request_id} if self.request_id else {}


class LogDamaged(Refusal):
    """What is stored is not what was written."""

    def __str__(self) -> str:
        return "stored data is damaged; run `inventory-grpc verify` and restore from a backup"


class Unauthenticated(Refusal):
    """Nobody knows who calls; why, is not for them to know."""

    def __str__(self) -> str:
        return "it is not known who calls; send the metadata `authorization: Bearer TOKEN`"


@dataclass(eq=False)
class PermissionDenied(Refusal):
    """The caller is known, and may not do this."""

    method: str = ""
    store_id: str = ""

    def __str__(self) -> str:
        if self.store_id:
            return f"store {self.store_id} is not one of the caller's"
        return f"the caller's role does not allow {self.method}"

    def facts(self) -> Mapping[str, str]:
        named = {"method": self.method, "store_id": self.store_id}
        return {fact: value for fact, value in named.items() if value}


@dataclass(eq=False)
class Internal(Refusal):
    """Something nobody thought of. Its story is in the server's log, under the id."""

    error_id: str

    def __str__(self) -> str:
        return f"internal error {self.error_id}; see the server's log"

    def facts(self) -> Mapping[str, str]:
        return {"error_id": self.error_id}


def bug(log: logging.Logger, error: BaseException, where: str = "") -> Internal:
    """Write *error* to the log under an id, and return what a caller may be told of it."""
    error_id = secrets.token_hex(4)
    log.error("internal error %s%s", error_id, where and f" in {where}", exc_info=error)
    return Internal(error_id)
