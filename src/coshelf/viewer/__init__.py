"""Shows a shelf in a browser: its keys as a tree, and what is stored under each of them. Needs the extra ``viewer``.

``coshelf browse recipes.shelf`` is the same from a shell. The pages are served on this machine alone, and only to the
browser that was given the start address. Nothing is unpickled to show it.

A program or a notebook shows a shelf that it has open::

    coshelf.viewer.serve(shelf)                     # until Ctrl-C

    with coshelf.viewer.serving(shelf) as address:  # in the background, while the block runs
        print(address)

    viewing = coshelf.viewer.serving(shelf)         # in the background, until viewing.close()
    viewing.address
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from coshelf.mapping.shelf import Shelf

if TYPE_CHECKING:
    from coshelf.viewer.web.server import Serving

__all__ = ["serve", "serving"]


def serve(
    shelf: Shelf[Any, Any],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    write: bool = False,
    started: Callable[[str], object] | None = None,
) -> None:
    """Show a shelf in a browser, until Ctrl-C or SIGTERM ends it.

    Args:
        shelf: a whole shelf, which stays open.
        host: an address of this machine: ``127.0.0.1``, ``::1`` or another one that begins with ``127.``.
        port: its port; 0: a free one.
        write: whether the pages can change the shelf. It must then be open for writing.
        started: called with the start address once the pages can be opened. Without it, the address is printed.

    Raises:
        MissingExtra: the extra ``viewer`` is not installed.
        ReadOnlyShelf: ``write=True``, and the shelf was opened with flag "r".
        Unsupported: the shelf is a part, from :meth:`coshelf.Shelf.sub`.
        ValueError: ``host`` is not an address of this machine alone.
        OSError: the port is in use.
        KeyboardInterrupt: after Ctrl-C.
    """
    from coshelf.viewer.web.server import run

    run(shelf, host, port, write=write, started=print if started is None else started)


def serving(shelf: Shelf[Any, Any], *, host: str = "127.0.0.1", port: int = 0, write: bool = False) -> Serving:
    """Show a shelf in a browser from a thread, until the result is closed or its ``with`` block ends.

    The arguments and errors are those of :func:`serve`. Several shelves can be shown at once, and so can one shelf.

    Returns an object with the start address as ``address``, and a method ``close()``. A notebook shows it as a link. A
    ``with`` block is given the address.

    >>> import coshelf
    >>> with coshelf.open("memory:") as shelf, serving(shelf) as address:
    ...     print(address.partition("?")[2][:6])
    token=
    """
    from coshelf.viewer.web.server import Serving

    return Serving(shelf, host, port, write=write)
