"""Makes methods that block of those of the asynchronous client.

These await only what their connections give them. Where that never waits for an event loop, as on
a `BlockingChannel`, a coroutine runs to its end when it is first resumed.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def blocking(
    method: Callable[Concatenate[Any, Parameters], Coroutine[Any, Any, Answer]],
) -> Callable[Concatenate[Any, Parameters], Answer]:
    """Return *method* as one that returns its answer."""

    def call(self: Any, /, *given: Parameters.args, **named: Parameters.kwargs) -> Answer:  # noqa: ANN401  any client
        return finished(method(self, *given, **named))

    update_wrapper(call, method)
    return call


def iterating(
    method: Callable[Concatenate[Any, Parameters], AsyncGenerator[Answer, None]],
) -> Callable[Concatenate[Any, Parameters], Generator[Answer, None, None]]:
    """Return *method* as one whose items are iterated over; `close` ends them."""

    def call(
        self: Any,  # noqa: ANN401  any client
        /,
        *given: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Generator[Answer, None, None]:
        return _iterated(method(self, *given, **named))

    update_wrapper(call, method)
    call.__doc__ = (method.__doc__ or "").replace("contextlib.aclosing", "contextlib.closing")
    return call


def finished(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Run *coroutine* in this thread; return its result."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    coroutine.close()
    raise AssertionError("a call that blocks waited for an event loop")


def _iterated(items: AsyncGenerator[Answer, None]) -> Generator[Answer, None, None]:
    try:
        while True:
            try:
                item = finished(items.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        finished(items.aclose())
