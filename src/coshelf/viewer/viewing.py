"""What the pages of one viewer share: the shelf, and what is computed about it in the background."""

from __future__ import annotations

from typing import Any

from coshelf.contract import Engine, Reader, distrust
from coshelf.mapping.living import Living
from coshelf.mapping.shelf import Shelf
from coshelf.viewer.activity.streams import Streams
from coshelf.viewer.background import Background
from coshelf.viewer.editing import Editing
from coshelf.viewer.keys.levels import Levels
from coshelf.viewer.keys.measuring import Measures

__all__ = ["Viewing"]

_LOCAL = ("lmdb", "sqlite", "files", "memory", "mapping")


class Viewing:
    """A shelf that is shown.

    Args:
        shelf: a whole shelf.
        write: whether the pages can change it.
        rescued: what the shelf is a copy of, in words, if that is damaged; None if it is the shelf itself.

    Attributes:
        shelf: the shelf.
        write: whether the pages can change it.
        rescued: as the argument.
        levels: the rows of its branches.
        measures: the sizes of its branches.
        editing: the changes that pages make.
        streams: the streams of changes to pages.

    Raises:
        Unsupported: the shelf is a part of another one.
        ReadOnlyShelf: it is to be changed, and is open for reading.
    """

    def __init__(self, shelf: Shelf[Any, Any], *, write: bool, rescued: str | None = None) -> None:
        engine = shelf.engine_for("viewer", writing=write)
        self.shelf = shelf
        self.write = write
        self.rescued = rescued
        self._background = Background()
        self.levels = Levels(self.reader, self._background)
        self.measures = Measures(self.reader, self._background, with_sizes=engine.name in _LOCAL)
        self.editing = Editing(shelf)
        self.streams = Streams()

    @property
    def engine(self) -> Engine:
        """The engine. Raises ShelfClosed after the shelf was closed."""
        return self.shelf.engine_for("viewer")

    def reader(self) -> Reader:
        """The entries that have not expired. Raises ShelfClosed after the shelf was closed."""
        engine = self.engine
        return Living(engine, engine.cutoff)

    @property
    def distrust(self) -> str | None:
        """Why values are not loaded as objects; None if the shelf is trusted."""
        return distrust(self.engine) if self.rescued is None else "it is a copy of a damaged one"

    def changed(self) -> None:
        """Forget what was counted, after a page has changed an entry."""
        self.levels.forget()
        self.measures.forget()

    def outdate(self) -> None:
        """Forget what is found again quickly, after another process has changed an entry."""
        self.levels.outdate()
        self.measures.outdate()

    def close(self) -> None:
        """End what runs in the background. The shelf stays open."""
        self._background.close()
