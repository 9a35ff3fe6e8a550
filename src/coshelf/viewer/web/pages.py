"""The pages that a browser reads: lists of keys, entries, and searches. They need no JavaScript."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from coshelf.viewer.activity.watching import Following, following
from coshelf.viewer.editing import version_in_words
from coshelf.viewer.keys.addresses import address_of, encoded_of
from coshelf.viewer.keys.branches import Branch, branch_at, branches_around
from coshelf.viewer.keys.levels import BLOCK, from_position
from coshelf.viewer.keys.measuring import Measure
from coshelf.viewer.keys.rows import Row, rows_of, rows_of_keys
from coshelf.viewer.keys.searching import WAYS, search_of
from coshelf.viewer.overview import overview_of
from coshelf.viewer.values.entries import Face, Stored, face_of, facts_of, parts_of, steps_of, stored_at, text_of
from coshelf.viewer.values.hexdump import WINDOW, lines
from coshelf.viewer.values.plain_values import NotShown, payload_of
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.rendering import Rendering

__all__ = ["Pages", "branch_of", "stored_of"]

_LENGTH = 2_000  # characters of a preview
_VIEWS = ("value", "hex", "instructions")


def branch_of(address: str) -> Branch:
    """The branch of an address in a request, or a page that says that there is none."""
    try:
        return branch_at(address)
    except ValueError as error:
        raise HTTPException(404, str(error)) from None


def stored_of(viewing: Viewing, address: str) -> Stored:
    """The entry of an address in a request, or a page that says that there is none."""
    try:
        encoded = encoded_of(address)
    except ValueError as error:
        raise HTTPException(404, str(error)) from None
    found = stored_at(viewing.shelf, encoded)
    if found is None:
        raise HTTPException(404, "No entry has this key: it was deleted, or has expired.")
    return found


def _position(request: Request) -> bytes | None:
    """The position in a request from which a list goes on."""
    address = request.query_params.get("from", "")
    try:
        return encoded_of(address) if address else None
    except ValueError as error:
        raise HTTPException(404, str(error)) from None


def number_in(request: Request, name: str) -> int:
    """A number in a request; 0 if there is none."""
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


class Pages:
    """The pages of one viewer."""

    def __init__(self, viewing: Viewing, rendering: Rendering) -> None:
        self._viewing = viewing
        self._rendering = rendering

    def start(self, request: Request) -> Response:
        """What the shelf is, and the keys on its first level."""
        overview = overview_of(self._viewing.shelf) if "from" not in request.query_params else []
        return self._list(request, branch_of(""), overview)

    def branch(self, request: Request) -> Response:
        """The keys in a branch."""
        return self._list(request, branch_of(request.path_params["address"]), [])

    def _list(self, request: Request, branch: Branch, overview: list[tuple[str, str]]) -> Response:
        live = following(self._viewing.shelf)
        reader = self._viewing.reader()
        found, behind = from_position(reader, branch, _position(request), BLOCK)
        inner = [child.branch for child in found if child.branch is not None]
        measures = self._viewing.measures.soon([branch, *inner] if branch.base else inner)
        parents = branch.parents()
        undo = request.query_params.get("undo", "")
        undone = self._viewing.editing.key_of_deleted(undo) if undo else None
        return self._rendering.page(
            "branch.html",
            live=live,
            title=branch.name(parents[-1]) if parents else "all keys",
            branch=branch,
            crumbs=_crumbs(parents),
            rows=[_measured(row, measures) for row in rows_of(reader, found, branch)],
            measure=measures.get(branch.address),
            onward="" if behind is None else address_of(behind),
            is_first="from" not in request.query_params,
            overview=overview,
            undo=undo if undone is not None else "",
            is_deleted="undo" in request.query_params,
        )

    def search(self, request: Request) -> Response:
        """The keys that a search finds."""
        given = request.query_params
        words = {name: given.get(name, "") for name in ("way", "text", "start", "stop")}
        if words["way"] not in WAYS:
            words["way"] = "prefix"
        try:
            search = search_of(words["way"], words["text"], words["start"], words["stop"])
        except (ValueError, TypeError) as error:
            return self._rendering.page(
                "search.html", 400, search=words, rows=[], problem=str(error), found=None, onward=""
            )
        found = search.page(self._viewing.reader(), _position(request))
        rows = rows_of_keys(self._viewing.reader(), found.keys)
        onward = "" if found.onward is None else address_of(found.onward)
        return self._rendering.page("search.html", search=words, rows=rows, problem=None, found=found, onward=onward)

    def entry(self, request: Request) -> Response:
        """An entry."""
        live = following(self._viewing.shelf)
        stored = stored_of(self._viewing, request.path_params["address"])
        view = request.query_params.get("view", "value")
        return self.entry_page(stored, view if view in _VIEWS else "value", request, live=live)

    def entry_page(
        self,
        stored: Stored,
        view: str,
        request: Request,
        *,
        face: Face | None = None,
        live: Following | None = None,
        status: int = 200,
    ) -> Response:
        """The page of an entry in one of its views; ``face`` is that of a value that was loaded."""
        parents = branches_around(stored.encoded)
        common: dict[str, Any] = {
            "stored": stored,
            "view": view,
            "crumbs": _crumbs(parents),
            "was_loaded": face is not None,
            "live": live,
        }
        record = stored.record
        if record is None:
            return self._rendering.page(
                "entry.html", facts=[], is_intact=True, **common, preview=None, can_load=False, text=None, version=""
            )
        preview = record.preview(length=_LENGTH)
        common |= {
            "facts": [("key", stored.literal), *facts_of(record, preview)],
            "is_intact": record.is_intact,
            "preview": preview,
            "version": version_in_words(record.version),
        }
        if view == "hex":
            return self._rendering.page("entry.html", **common, **self._hex(stored, request))
        if view == "instructions":
            return self._rendering.page("entry.html", **common, **_instructions(stored, request))
        engine = self._viewing.engine
        shown = face_of(record, engine) if face is None else face
        can_load = shown.is_object and self._viewing.distrust is None
        text = text_of(record, engine) if self._viewing.write and shown.reason is None else None
        return self._rendering.page(
            "entry.html", status, **common, face=shown, can_load=can_load, distrust=self._viewing.distrust, text=text
        )

    def _hex(self, stored: Stored, request: Request) -> dict[str, Any]:
        assert stored.record is not None
        parts = parts_of(stored.record, self._viewing.engine)
        part = next((each for each in parts if each.name == request.query_params.get("part")), parts[0])
        data = part.data
        at = min(number_in(request, "from"), max(len(data) - 1, 0)) // 16 * 16
        return {
            "parts": parts,
            "part": part,
            "lines": list(lines(data, at)),
            "total": len(data),
            "before": max(at - WINDOW, 0) if at else None,
            "onward": at + WINDOW if at + WINDOW < len(data) else None,
            "last": (len(data) - 1) // WINDOW * WINDOW,
        }


def _measured(row: Row, measures: dict[str, Measure]) -> Row:
    """The row, with the size of a branch as far as it is known."""
    if not row.is_branch:
        return row
    known = measures[row.address]
    return replace(row, entries=known.entries_in_words, words=known.size_in_words)


def _crumbs(branches: list[Branch]) -> list[tuple[str, str]]:
    """Names and paths of pages of branches, each in the one before."""
    pairs = zip(branches, [branches[0], *branches] if branches else [], strict=False)
    return [(branch.name(outer), f"/keys/{branch.address}" if branch.base else "/") for branch, outer in pairs]


def _instructions(stored: Stored, request: Request) -> dict[str, Any]:
    record = stored.record
    assert record is not None
    if record.codec != "pickle":
        return {"steps": None, "reason": f"The value is not a pickle: it is stored as {record.form}."}
    try:
        return {"steps": steps_of(payload_of(record), number_in(request, "from")), "reason": None}
    except NotShown as error:
        return {"steps": None, "reason": str(error)}
