"""What forms of the pages send: loading a value, and with ``write`` changes of the shelf."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from coshelf.cli.key_text import read_key, read_literal
from coshelf.errors import CoshelfError, InvalidKey
from coshelf.keys import encode, is_key_type
from coshelf.viewer.editing import NEW, Changed, value_of_text, version_in_words
from coshelf.viewer.keys.addresses import address_of
from coshelf.viewer.keys.branches import branches_around
from coshelf.viewer.texts import cut
from coshelf.viewer.values.entries import Face, Stored, Text, face_of, face_of_value, stored_at, text_of
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.access import Access
from coshelf.viewer.web.own_thread import in_own_thread
from coshelf.viewer.web.pages import Pages, stored_of
from coshelf.viewer.web.rendering import Rendering

__all__ = ["Forms"]

_LARGEST_TEXT = 8 << 20  # bytes of a text that is edited
_KEY_FORMS = ("auto", "text", "literal")


class Forms:
    """The forms of one viewer."""

    def __init__(self, viewing: Viewing, access: Access, rendering: Rendering, pages: Pages) -> None:
        self._viewing = viewing
        self._access = access
        self._rendering = rendering
        self._pages = pages

    # --- pages with forms --------------------------------------------------------------------------------------------

    def new(self, request: Request) -> Response:
        """The form for a new entry."""
        self._refuse_reading_only()
        return self._new_page(
            {"key": request.query_params.get("key", ""), "key_form": "auto", "form": "json", "text": ""}
        )

    def edit(self, request: Request) -> Response:
        """The form with the text of a value."""
        self._refuse_reading_only()
        stored = stored_of(self._viewing, request.path_params["address"])
        text = None if stored.record is None else text_of(stored.record, self._viewing.engine)
        if text is None or stored.record is None:
            raise HTTPException(404, "No text stands for exactly this value. It can be replaced by a file.")
        return self._edit_page(stored, text, version_in_words(stored.record.version))

    # --- what they send ----------------------------------------------------------------------------------------------

    async def load(self, request: Request) -> Response:
        """Load a value as an object, which can run code. Only a trusted shelf offers that."""
        async with request.form(max_files=0) as form:
            self._verify(form)
        loading = asyncio.ensure_future(in_own_thread(partial(self._load, request)))
        if not self._viewing.streams.begin(loading.cancel):
            loading.cancel()
            raise HTTPException(503, "Too many values are being loaded, and pages are open. Start the viewer again.")
        try:
            return await loading
        except asyncio.CancelledError:
            raise HTTPException(503, "The viewer ends. The value was not loaded by then.") from None
        finally:
            self._viewing.streams.leave(loading.cancel)

    def _load(self, request: Request) -> Response:
        stored = stored_of(self._viewing, request.path_params["address"])
        if stored.record is None or self._viewing.distrust is not None:
            raise HTTPException(403, f"The shelf is not trusted, so values are not loaded: {self._viewing.distrust}")
        try:
            face = face_of_value(stored.record.decode())
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # its code can raise any, and call exit()
            face = Face(reason=cut(f"loading it failed: {type(error).__name__}: {error}", 600))
        return self._pages.entry_page(stored, "value", request, face=face)

    async def save(self, request: Request) -> Response:
        """Store an edited text."""
        form = await self._writing(request)
        return await run_in_threadpool(self._save, request.path_params["address"], form)

    def _save(self, address: str, form: dict[str, str]) -> Response:
        stored = stored_of(self._viewing, address)
        text = Text(form.get("form", ""), form.get("text", ""))
        try:
            value = value_of_text(text.form, text.text)
        except ValueError as error:
            return self._edit_page(stored, text, form.get("version", ""), problem=str(error), status=422)
        try:
            return self._stored(stored.key, value, form.get("version", ""), text)
        except CoshelfError as error:  # what was typed must not be lost
            return self._edit_page(stored, text, form.get("version", ""), problem=str(error), status=422)

    async def create(self, request: Request) -> Response:
        """Store a new entry."""
        form = await self._writing(request)
        return await run_in_threadpool(self._create, form)

    def _create(self, form: dict[str, str]) -> Response:
        try:
            key = _key_of(form.get("key", ""), form.get("key_form", "auto"))
            value = value_of_text(form.get("form", ""), form.get("text", ""))
        except (ValueError, InvalidKey) as error:
            return self._new_page(form, problem=str(error), status=422)
        try:
            return self._stored(key, value, NEW, Text(form["form"], form.get("text", "")))
        except CoshelfError as error:
            return self._new_page(form, problem=str(error), status=422)

    async def upload(self, request: Request) -> Response:
        """Store a file as bytes: as a new entry, or in the place of one that the page showed."""
        async with request.form(max_files=1, max_part_size=_LARGEST_TEXT) as form:
            self._refuse_reading_only()
            self._verify(form)
            words = {name: value for name, value in form.items() if isinstance(value, str)}
            file = form.get("file")
            if not isinstance(file, UploadFile) or not (file.filename or words.get("key")):
                return self._new_page(words, problem="Choose a file.", status=422)
            words["key"] = words.get("key") or file.filename or ""
            data = await file.read()
        return await run_in_threadpool(self._upload, words, data)

    def _upload(self, form: dict[str, str], data: bytes) -> Response:
        try:
            if "address" in form:
                return self._stored(stored_of(self._viewing, form["address"]).key, data, form.get("version", ""), None)
            key = _key_of(form["key"], form.get("key_form", "auto"))
            return self._stored(key, data, NEW, None)
        except (ValueError, CoshelfError) as error:  # CoshelfError: the shelf may take no bytes
            return self._new_page(form, problem=str(error), status=422)

    async def delete(self, request: Request) -> Response:
        """Delete an entry."""
        form = await self._writing(request)
        return await run_in_threadpool(self._delete, request.path_params["address"], form.get("version", ""))

    def _delete(self, address: str, version: str) -> Response:
        stored = stored_of(self._viewing, address)
        try:
            undo = self._viewing.editing.delete(stored.encoded, version)
        except Changed:
            return self._conflict(stored.encoded, None, "It was not deleted.")
        self._viewing.changed()
        outer = branches_around(stored.encoded)[-1]
        return _to((f"/keys/{outer.address}" if outer.base else "/") + f"?undo={undo}")

    async def restore(self, request: Request) -> Response:
        """Bring a deleted entry back."""
        await self._writing(request)
        return await run_in_threadpool(self._restore, request.path_params["name"])

    def _restore(self, name: str) -> Response:
        editing = self._viewing.editing
        encoded = editing.key_of_deleted(name)
        if encoded is None:
            raise HTTPException(404, "The entry is not kept any more: only the last ones can be brought back.")
        try:
            editing.restore(name)
        except Changed:
            return self._conflict(encoded, None, "The deleted entry was not brought back: another one has its key now.")
        self._viewing.changed()
        return _to(f"/entry/{address_of(encoded)}")

    # --- shared ------------------------------------------------------------------------------------------------------

    async def _writing(self, request: Request) -> dict[str, str]:
        """The texts of a form that changes the shelf."""
        async with request.form(max_files=0, max_part_size=_LARGEST_TEXT) as form:
            self._refuse_reading_only()
            self._verify(form)
            return {name: value for name, value in form.items() if isinstance(value, str)}

    def _refuse_reading_only(self) -> None:
        if not self._viewing.write:
            raise HTTPException(
                403, "The pages only show the shelf. Start them with --write (write=True) to change it."
            )

    def _verify(self, form: FormData) -> None:
        given = form.get("form_token")
        if not isinstance(given, str) or not self._access.is_form_token(given):
            raise HTTPException(403, "This form does not come from a page of this viewer. Load the page again.")

    def _stored(self, key: Any, value: Any, version: str, text: Text | None) -> Response:
        """Store a value, and show its entry; or show both values if another process was first."""
        try:
            self._viewing.editing.store(key, value, version)
        except Changed:
            return self._conflict(encode(key), text, "Your value was not stored.")
        self._viewing.changed()
        return _to(f"/entry/{address_of(encode(key))}")

    def _conflict(self, encoded: bytes, text: Text | None, outcome: str) -> Response:
        """The page that shows the value of now beside the one that was to be stored."""
        now = stored_at(self._viewing.shelf, encoded)
        record = None if now is None else now.record
        return self._rendering.page(
            "conflict.html",
            409,
            outcome=outcome,
            yours=text,
            now=now,
            name=Stored(encoded, None, None).address if now is None else now.name,
            address=address_of(encoded),
            face=None if record is None else face_of(record, self._viewing.engine),
            version=NEW if record is None else version_in_words(record.version),
        )

    def _edit_page(
        self, stored: Stored, text: Text, version: str, *, problem: str | None = None, status: int = 200
    ) -> Response:
        return self._rendering.page("edit.html", status, stored=stored, text=text, version=version, problem=problem)

    def _new_page(self, given: dict[str, str], *, problem: str | None = None, status: int = 200) -> Response:
        words = {"key": "", "key_form": "auto", "form": "json", "text": ""} | given
        return self._rendering.page("new.html", status, given=words, problem=problem)


def _key_of(text: str, form: str) -> Any:
    """The key that a person has typed. Raises ValueError and InvalidKey."""
    if form not in _KEY_FORMS:
        raise ValueError(f"a key is typed as one of {', '.join(_KEY_FORMS)}")
    if not text:
        raise ValueError("the key is missing")
    key = text if form == "text" else read_literal(text) if form == "literal" else read_key(text)
    if not is_key_type(key):
        raise ValueError(f"a key cannot be of type {type(key).__name__}")
    encode(key)
    return key


def _to(path: str) -> Response:
    return RedirectResponse(path, 303)
