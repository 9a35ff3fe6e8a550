"""Shelves for tasks of asyncio and trio: :func:`coshelf.aio.open` gives an :class:`AsyncShelf`.

It needs anyio: ``pip install 'coshelf[aio]'``.
"""

from coshelf.system import extras

extras.imported("anyio", "aio", "coshelf.aio")

from coshelf.aio.entries import AsyncCursor  # noqa: E402 (anyio is looked for first)
from coshelf.aio.opening import open  # noqa: E402
from coshelf.aio.queues import AsyncDeque, AsyncQueue  # noqa: E402
from coshelf.aio.shelf import AsyncShelf  # noqa: E402
from coshelf.aio.transaction import AsyncSnapshot, AsyncTransaction  # noqa: E402
from coshelf.aio.turns import AsyncBarrier, AsyncLock, AsyncSemaphore, AsyncTurn  # noqa: E402
from coshelf.aio.views import AsyncView  # noqa: E402
from coshelf.aio.watching import AsyncWatch  # noqa: E402

__all__ = [
    "AsyncBarrier",
    "AsyncCursor",
    "AsyncDeque",
    "AsyncLock",
    "AsyncQueue",
    "AsyncSemaphore",
    "AsyncShelf",
    "AsyncSnapshot",
    "AsyncTransaction",
    "AsyncTurn",
    "AsyncView",
    "AsyncWatch",
    "open",
]
