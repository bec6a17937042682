"""What callers were promised, written down so that no crash can take it back."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import grpc.aio

from tests.support.caller import SECONDS, Caller


class Request(Protocol):
    """A request that can be repeated."""

    request_id: str


class Answer(Protocol):
    """What a command is answered with."""

    position: int
    replayed: bool


class Asked(NamedTuple):
    """A request, and the rpc it is for."""

    rpc: str
    request: Request

    async def send(self, caller: Caller) -> Answer:
        answer: Answer = await getattr(caller.commands, self.rpc)(self.request, timeout=SECONDS)
        return answer


@dataclass
class Journal:
    """Requests that were sent; of those that were answered, the answers, on disk."""

    path: Path
    asked: dict[str, Asked] = field(default_factory=dict)
    answered: dict[str, Answer] = field(default_factory=dict)

    async def send(self, caller: Caller, rpc: str, request: Request) -> Answer | None:
        """Send *request*; return the answer once it is written down, or None if there is none."""
        asked = self.asked[request.request_id] = Asked(rpc, request)
        try:
            answer = await asked.send(caller)
        except grpc.aio.AioRpcError:
            return None
        with self.path.open("ab") as file:
            file.write(f"{request.request_id} {answer.position}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        self.answered[request.request_id] = answer
        return answer

    def positions(self) -> Iterator[tuple[str, int]]:
        """Yield what is on disk: requests and the positions they were promised."""
        for entry in self.path.read_text("ascii").splitlines():
            request_id, position = entry.split()
            yield request_id, int(position)
