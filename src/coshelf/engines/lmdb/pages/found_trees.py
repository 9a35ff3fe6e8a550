"""Finds the newest tree of a damaged file: by its headers, or without them.

Each commit writes the shelf row anew. So the leaf page with the newest shelf row, and all pages that lead to it, belong
to the newest tree alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from coshelf.engines.lmdb.layer_map import LayerMap, is_link
from coshelf.engines.lmdb.pages.header import Counts, Meta
from coshelf.engines.lmdb.pages.layout import (
    BRANCH,
    LEAF,
    PAGE,
    PAGE_HEADER,
    PAGE_SIZES,
    SMALLEST_NODE,
    Node,
    first_child,
    nodes_of,
    number_of,
)
from coshelf.engines.lmdb.pages.page_walk import TreeWalk, free_pages
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.engines.lmdb.shelf_row import ROW_KEY, ShelfRow, unpack_row
from coshelf.errors import CoshelfError

__all__ = ["FoundTree", "Survey", "find_tree"]

_MOST = 64  # trees that are tried
_SMALLEST_ROW = 2 + SMALLEST_NODE + 12  # bytes: its offset, its node, and a key with a record of more than that
_MOST_ROWS = PAGE_SIZES[-1] // _SMALLEST_ROW  # in a leaf page


class Survey:
    """What all pages of a file say about themselves, whether a tree leads to them or not.

    Attributes:
        leaves: the pages that are leaves.
        layers: what the links of long keys lead to.
        row: the newest shelf row.
        row_page: the page that it is on.
    """

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.leaves: list[int] = []
        self.layers = LayerMap()
        self.row: ShelfRow | None = None
        self.row_page = 0
        self.above: dict[int, list[int]] = {}  # for the first child of branch pages: those branch pages
        self.last_page = pages.length // pages.size - 1

    def look_at(self, number: int) -> None:
        """Take a page into account."""
        page = self.pages.read(number)
        if page is None or number_of(page) != number:
            return
        _, _, kind, lower, _ = PAGE.unpack_from(page)
        if kind == LEAF:
            self.leaves.append(number)
            for node in nodes_of(number, page):
                if node is None:
                    continue
                if node.key == ROW_KEY:
                    self._look_at_row(node)
                elif is_link(node.key):
                    self.layers.add_link(node.key)
        elif kind == BRANCH and PAGE_HEADER < lower <= len(page):
            self.above.setdefault(first_child(page), []).append(number)

    def _look_at_row(self, node: Node) -> None:
        try:
            row = unpack_row(self.pages.value(node), "")
        except CoshelfError:
            return
        if self.row is None or row.sequence > self.row.sequence:
            self.row, self.row_page = row, node.page


@dataclass(slots=True)
class FoundTree:
    """A tree, as far as it can be followed.

    Attributes:
        rows: the rows of each leaf.
        problems: pages that are not what they should be, with what is wrong.
        lost: ranges of rows that lie below those pages.
        free: the pages that are known to be free; None if that is not known.
        row: its shelf row.
        counts: how many pages and rows it has, by its header; None if no header says that.
        is_guess: whether the tree was found without a header, so that it may not be the newest one.
    """

    rows: list[list[Node]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    lost: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    free: set[int] | None = None
    row: ShelfRow | None = None
    counts: Counts | None = None
    is_guess: bool = False

    @property
    def count(self) -> int:
        return sum(map(len, self.rows))

    @property
    def entries(self) -> int | None:
        """The number of the user's entries, by its header and its shelf row; None if these cannot be right."""
        if self.counts is None or self.row is None or self.is_guess:
            return None
        rows, extra = self.counts.rows, self.row.extra_rows
        possible = max(self.count, extra) <= rows <= _MOST_ROWS * self.counts.leaf_pages
        return rows - extra if possible else None


def find_tree(survey: Survey, metas: list[Meta]) -> FoundTree:
    """The newest tree, as far as it can be followed; ``metas`` from the newest to the oldest."""
    best = None
    if metas:
        best = _follow(survey, metas[0].main_root, metas[0].main_depth)
        best.free = _free(survey, metas[0])
        best.counts = metas[0].main_counts
        is_newest = len(metas) == 2 or (survey.row is not None and not _is_before(best, survey.row))
        if is_newest and (not best.problems or best.free is not None):
            return best
    climbed = [_follow(survey, root, depth) for root, depth in _roots(survey)] if survey.row is not None else []
    whole = [tree for tree in climbed if not tree.problems and tree.count]
    if not whole:
        return best or _nothing()
    # An earlier upper page may still lead to this leaf. Its tree has older rows.
    newest = max(whole, key=lambda tree: (_newest_version(survey.pages, tree), tree.count))
    if best is not None and (best.problems or newest.count < best.count // 2):
        return best
    newest.is_guess = True
    # The tree may be only the beginning of a larger one whose upper pages are gone.
    newest.lost.append((newest.rows[-1][-1].key + b"\0", None))
    return newest


def _newest_version(pages: Pages, tree: FoundTree) -> int:
    versions = (
        pages.version(node) for leaf in tree.rows for node in leaf if node.key != ROW_KEY and not is_link(node.key)
    )
    return max(versions, default=0)


def _is_before(tree: FoundTree, row: ShelfRow) -> bool:
    """Whether a tree is of an earlier commit than a shelf row."""
    return tree.row is not None and tree.row.sequence < row.sequence


def _nothing() -> FoundTree:
    return FoundTree(lost=[(b"", None)])


def _follow(survey: Survey, root: int, depth: int) -> FoundTree:
    tree = FoundTree()
    last = survey.last_page
    walk = TreeWalk(survey.pages, last, bytearray(last + 1), lambda page, wrong: tree.problems.append((page, wrong)))
    tree.rows.extend(walk.leaves(root, depth))
    tree.lost = walk.lost
    for node in tree.rows[0] if tree.rows else ():
        if node.key == ROW_KEY:
            try:
                tree.row = unpack_row(survey.pages.value(node), "")
            except CoshelfError:
                tree.row = None
    return tree


def _free(survey: Survey, meta: Meta) -> set[int] | None:
    problems: list[int] = []
    last = survey.last_page
    walk = TreeWalk(survey.pages, last, bytearray(last + 1), lambda page, _: problems.append(page))
    free = set(free_pages(walk, survey.pages, meta))
    # The list's own pages hold no rows of the shelf.
    return None if problems else free | {number for number, used in enumerate(walk.seen) if used}


def _roots(survey: Survey) -> Iterator[tuple[int, int]]:
    """The pages from which the newest shelf row is the first row, each with the depth of the tree that it would be."""
    waiting = [(survey.row_page, 1)]
    for _ in range(_MOST):
        if not waiting:
            return
        number, depth = waiting.pop(0)
        yield number, depth
        waiting.extend((above, depth + 1) for above in survey.above.get(number, ()))
