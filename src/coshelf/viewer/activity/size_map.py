"""The page of sizes: a map in which each branch and key has the area of its bytes, and the same as a table."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from coshelf.viewer.activity.places import places_in
from coshelf.viewer.activity.sizes import Size, largest, measured
from coshelf.viewer.activity.treemap import Rectangle, squarified
from coshelf.viewer.keys.branches import Branch
from coshelf.viewer.sizes import in_words
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.pages import branch_of
from coshelf.viewer.web.rendering import Rendering

__all__ = ["Box", "SizeMap", "boxes_of"]

WIDTH, HEIGHT = 960, 480
"""Of the map, in the units of its drawing."""

_MOST = 48
_SHADES = 6
_LETTER = 8.6  # units that a letter of a label is wide
_LINE = 18  # units that a label is high
_EDGE = 6


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the map.

    Attributes:
        place: where it is.
        size: what it stands for.
        label: what has space in it; empty if nothing has.
        bytes: its bytes, if they have space in it, else empty.
        shade: the number of its colour.
        share: of all bytes, in percent.
    """

    place: Rectangle
    size: Size
    label: str
    bytes: str
    shade: int
    share: float


def boxes_of(sizes: list[Size]) -> list[Box]:
    """The boxes of a map. What has no bytes has no box."""
    shown = [size for size in sizes if size.bytes]
    total = sum(size.bytes for size in shown)
    places = squarified([size.bytes for size in shown], WIDTH, HEIGHT)
    return [
        Box(place, size, *_written(size, place), number % _SHADES, 100 * size.bytes / total)
        for number, (size, place) in enumerate(zip(shown, places, strict=True))
    ]


def _written(size: Size, place: Rectangle) -> tuple[str, str]:
    letters = int((place.width - 2 * _EDGE) / _LETTER)
    if letters < 3 or place.height < _LINE + _EDGE:
        return "", ""
    label = size.name if len(size.name) <= letters else f"{size.name[: letters - 1]}…"
    below = shown_bytes(size)
    return label, below if len(below) <= letters and place.height >= 2 * _LINE + 2 * _EDGE else ""


def shown_bytes(size: Size) -> str:
    """The bytes of a size, and whether they are an estimate."""
    return in_words(size.bytes) if size.is_exact else f"about {in_words(size.bytes)}"


class SizeMap:
    """The page of sizes of one viewer."""

    def __init__(self, viewing: Viewing, rendering: Rendering) -> None:
        self._viewing = viewing
        self._rendering = rendering

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [Route("/sizes", self.sizes), Route("/sizes/{address}", self.sizes)]

    def sizes(self, request: Request) -> Response:
        """The map of a branch, or of the whole shelf."""
        branch = branch_of(request.path_params.get("address", ""))
        reader = self._viewing.reader()
        places = places_in(reader, branch)
        found = measured(reader, places.places, other_keys=places.other_keys)
        parents = branch.parents()
        boxes = boxes_of(largest(found, _MOST))
        return self._rendering.page(
            "sizes.html",
            boxes=boxes,
            links=[_link(box.size) for box in boxes],
            found=found,
            is_whole=found.is_whole and places.is_whole,
            branch=branch,
            title=branch.name(parents[-1]) if parents else "all keys",
            crumbs=[_crumb(parent, outer) for parent, outer in zip(parents, parents[:1] + parents, strict=False)],
            width=WIDTH,
            height=HEIGHT,
        )


def _crumb(branch: Branch, outer: Branch) -> tuple[str, str]:
    return branch.name(outer), f"/sizes/{branch.address}" if branch.base else "/sizes"


def _link(size: Size) -> str:
    """The page of what a box stands for; empty if it has none."""
    if not size.address:
        return ""
    return f"/sizes/{size.address}" if size.is_branch else f"/entry/{size.address}"
