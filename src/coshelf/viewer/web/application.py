"""The application: which address leads to which page. This is the place where routes are listed."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from coshelf.errors import CoshelfError, ShelfClosed, ShelfGone
from coshelf.viewer.activity.page import Live
from coshelf.viewer.activity.size_map import SizeMap
from coshelf.viewer.sizes import in_words
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.access import LARGEST_UPLOAD, Access, App, Guard
from coshelf.viewer.web.data import Data
from coshelf.viewer.web.files import Files
from coshelf.viewer.web.forms import Forms
from coshelf.viewer.web.pages import Pages
from coshelf.viewer.web.rendering import Rendering

__all__ = ["application"]

_DATA = "/data/"


def application(viewing: Viewing, access: Access) -> App:
    """The ASGI application that shows a shelf."""
    rendering = Rendering(viewing, access)
    pages = Pages(viewing, rendering)
    data = Data(viewing)
    as_files = Files(viewing)
    forms = Forms(viewing, access, rendering, pages)
    routes = [
        Route("/", pages.start),
        Route("/keys/{address}", pages.branch),
        Route("/search", pages.search),
        Route("/entry/{address}", pages.entry),
        Route("/entry/{address}/picture", as_files.picture),
        Route("/entry/{address}/thumbnail", as_files.thumbnail),
        Route("/entry/{address}/download", as_files.download),
        Route("/entry/{address}/load", forms.load, methods=["POST"]),
        Route("/entry/{address}/edit", forms.edit),
        Route("/entry/{address}/edit", forms.save, methods=["POST"]),
        Route("/entry/{address}/delete", forms.delete, methods=["POST"]),
        Route("/deleted/{name}/restore", forms.restore, methods=["POST"]),
        Route("/new", forms.new),
        Route("/new", forms.create, methods=["POST"]),
        Route("/upload", forms.upload, methods=["POST"]),
        Route("/data/rows", data.rows),
        Route("/data/measures", data.measures),
        Route("/data/place", data.place),
        *Live(viewing, rendering).routes(),
        *SizeMap(viewing, rendering).routes(),
        Mount("/static", StaticFiles(directory=str(files("coshelf.viewer") / "static"))),
    ]
    inner: Any = Starlette(routes=routes, exception_handlers=_handlers(rendering))
    return Guard(inner, access)


def _handlers(rendering: Rendering) -> dict[Any, Any]:
    """Pages instead of tracebacks."""

    def problem(request: Request, status: int, title: str, words: str) -> Response:
        if request.url.path.startswith(_DATA):
            return JSONResponse({"problem": words}, status)
        return rendering.problem(status, title, words)

    def of_http(request: Request, error: HTTPException) -> Response:
        title = {404: "Not found", 403: "Not allowed", 405: "Not allowed"}.get(error.status_code, "This does not work")
        return problem(request, error.status_code, title, str(error.detail))

    def of_closed(request: Request, error: CoshelfError) -> Response:
        hint = "The program that shows it has closed the shelf, or its file is gone. Start the viewer again."
        return problem(request, 503, "The shelf is closed", f"{error}\n{hint}")

    def of_shelf(request: Request, error: CoshelfError) -> Response:
        return problem(request, 500, "The shelf reports an error", str(error))

    def of_large(request: Request, _: ClientDisconnect) -> Response:
        return problem(request, 413, "Too large", f"An upload has at most {in_words(LARGEST_UPLOAD)}.")

    return {
        HTTPException: of_http,
        ShelfClosed: of_closed,
        ShelfGone: of_closed,
        CoshelfError: of_shelf,
        ClientDisconnect: of_large,
    }
