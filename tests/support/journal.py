"""What callers were promised, written down so that no crash can take it back."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio

from tests.support.caller import SECONDS, Caller


class Asked(NamedTuple):
    """A request, and the rpc it is for."""

    rpc: str
    request: Any


@dataclass
class Journal:
    """Requests that were sent; of those that were answered, the answers, on disk."""

    path: Path
    asked: dict[str, Asked] = field(default_factory=dict)
    answered: dict[str, Any] = field(default_factory=dict)

    async def send(self, caller: Caller, rpc: str, request: Any) -> Any:
        """Send *request*; return the answer once it is written down, or None if there is none."""
        self.asked[request.request_id] = Asked(rpc, request)
        try:
            answer = await getattr(caller.commands, rpc)(request, timeout=SECONDS)
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
