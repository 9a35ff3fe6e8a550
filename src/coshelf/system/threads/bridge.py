"""Synchronous calls that wait on an event loop of asyncio, and do not block it.

The call runs in a greenlet. Where it would wait for a server it calls :func:`awaited`: the greenlet is left, the task
awaits the coroutine, and the greenlet goes on with the result. So the code of an engine is written once.

The package ``greenlet`` is imported by the first :func:`run`. Before that, :func:`is_bridged` costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from coshelf.system.extras import imported

__all__ = ["awaited", "can_await", "current_bridge", "is_bridged", "run"]

P = ParamSpec("P")
T = TypeVar("T")


class _Bridges:
    """What is known of the package, once it is imported.

    Attributes:
        kind: the class of the greenlets that calls run in; None before the first call.
        current: returns the greenlet that runs in this thread.
    """

    kind: type[Any] | None = None
    current: Callable[[], Any]


def _kind() -> type[Any]:
    if _Bridges.kind is None:
        greenlet = imported("greenlet", "aio", "coshelf.aio on a server")
        # ``is_over``: whether the task is being destroyed, so that nothing can be awaited any more.
        made = type("Bridge", (greenlet.greenlet,), {"is_over": False})
        _Bridges.current = greenlet.getcurrent
        _Bridges.kind = made
        return made
    return _Bridges.kind


def current_bridge() -> object | None:
    """The bridge that the caller is inside of; None if there is none. It differs from that of every other call."""
    kind = _Bridges.kind
    if kind is None:
        return None
    current = _Bridges.current()
    return current if isinstance(current, kind) else None


def is_bridged() -> bool:
    """Whether the caller runs inside :func:`run`, and so must not block its thread."""
    kind = _Bridges.kind
    return kind is not None and isinstance(_Bridges.current(), kind)


def can_await() -> bool:
    """Whether :func:`awaited` can be called: not while the task of the bridge is being destroyed."""
    bridge: Any = current_bridge()
    return bridge is not None and not bridge.is_over


def awaited(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, which the task of this bridge awaits. Raises what the coroutine raises.

    Raises:
        asyncio.CancelledError: the task was cancelled.
        RuntimeError: the caller is not inside :func:`run`.
    """
    bridge: Any = current_bridge()
    if bridge is None:
        coroutine.close()
        raise RuntimeError("a coroutine can be awaited only inside a bridge")
    if bridge.is_over:
        coroutine.close()
        raise GeneratorExit
    result: T = bridge.parent.switch(coroutine)
    return result


class _Outcome:
    """What a call returned or raised. An exception must not leave the greenlet: some end it silently."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error


def _outcome(call: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> _Outcome:
    try:
        return _Outcome(call(*arguments, **named))
    except BaseException as error:
        return _Outcome(error=error)


async def run(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """The result of a synchronous call, which waits for servers by :func:`awaited`. Raises what the call raises.

    If the task is cancelled, the call gets :exc:`asyncio.CancelledError` where it waits. It may wait again to clean up.

    >>> import asyncio
    >>> def pausing(seconds):
    ...     awaited(asyncio.sleep(seconds, "a result"))
    ...     return awaited(asyncio.sleep(seconds, "another one"))
    >>> asyncio.run(run(pausing, 0.01))
    'another one'
    """
    kind = _kind()
    parent = _Bridges.current()
    bridge = kind(_outcome, parent)
    bridge.gr_context = parent.gr_context
    step = bridge.switch(call, arguments, named)
    while type(step) is not _Outcome:
        try:
            result = await step
        except GeneratorExit as error:
            bridge.is_over = True
            step = bridge.throw(error)
        except BaseException as error:
            step = bridge.throw(error)
        else:
            step = bridge.switch(result)
    if step.error is None:
        value: T = step.value
        return value
    try:
        raise step.error
    finally:
        del step  # it is part of the circle of error, traceback and frame
