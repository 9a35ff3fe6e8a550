"""What the tree asks for while a person scrolls, as JSON."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from coshelf.viewer.keys.addresses import encoded_of
from coshelf.viewer.keys.branches import branches_around
from coshelf.viewer.keys.levels import BLOCK
from coshelf.viewer.keys.rows import rows_of
from coshelf.viewer.sizes import in_words
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.pages import branch_of, number_in

__all__ = ["Data"]

_MOST_MEASURES = 60


class Data:
    """The answers of one viewer."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    def rows(self, request: Request) -> Response:
        """A block of the rows of a branch."""
        branch = branch_of(request.query_params.get("branch", ""))
        number = number_in(request, "block")
        block = self._viewing.levels.block(branch, number)
        rows = [row.as_dict() for row in rows_of(self._viewing.reader(), block.rows, branch)]
        return JSONResponse(
            {"block": number, "size": BLOCK, "count": block.count, "complete": block.is_complete, "rows": rows}
        )

    def place(self, request: Request) -> Response:
        """Where a key or branch is in the tree: the numbers of the rows that lead to it; null if one is not known."""
        address = request.query_params.get("key", "")
        try:
            encoded = encoded_of(address)
        except ValueError as error:
            raise HTTPException(404, str(error)) from None
        found = branches_around(encoded)
        if found[-1].base == encoded and not request.query_params.get("entry"):
            found.pop()  # a branch is a row of the branch around it
        steps = [*(branch.base for branch in found[1:]), encoded]
        rows = [self._viewing.levels.number(branch, step) for branch, step in zip(found, steps, strict=True)]
        return JSONResponse({"rows": None if None in rows else rows})

    def measures(self, request: Request) -> Response:
        """How many entries some branches have, and how large they are, as far as that is known."""
        found = {}
        for address in request.query_params.getlist("branch")[:_MOST_MEASURES]:
            measure = self._viewing.measures.of(branch_of(address))
            found[address] = {
                "entries": measure.entries,
                "size": measure.size,
                "words": "" if measure.size is None else in_words(measure.size),
                "complete": measure.is_complete,
            }
        return JSONResponse(found)
