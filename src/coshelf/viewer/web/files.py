"""Values as files: pictures in a page, and downloads. Their types are fixed, so that a browser never runs them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from coshelf.cli.key_text import text_of_key
from coshelf.contract import Engine
from coshelf.mapping.record import Record
from coshelf.viewer.values.arrays import is_array, thumbnail
from coshelf.viewer.values.pictures import kind_of_picture
from coshelf.viewer.values.plain_values import NotShown, payload_of, plain_value
from coshelf.viewer.viewing import Viewing
from coshelf.viewer.web.pages import stored_of

__all__ = ["Files", "file_name"]

_CHUNK = 1 << 20
_ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}
_FORMS = {"pickle": ".pickle", "json": ".json", "msgspec": ".msgpack", "bytes": ".bin", "str": ".txt"}


class Files:
    """The files of one viewer."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    def picture(self, request: Request) -> Response:
        """The bytes of a value that is a picture."""
        value = self._value(request)
        kind = kind_of_picture(value) if isinstance(value, (bytes, bytearray, memoryview)) else None
        if kind is None:
            raise HTTPException(404, "The value is not a picture.")
        return Response(bytes(value), media_type=kind)

    def thumbnail(self, request: Request) -> Response:
        """A small picture of an array."""
        value = self._value(request)
        drawn = thumbnail(value) if is_array(value) else None
        if drawn is None:
            raise HTTPException(404, "The value is not an array that can be drawn.")
        return Response(drawn, media_type="image/png")

    def download(self, request: Request) -> Response:
        """A value as a file: bytes and text as they are, and any other value as it is stored."""
        stored = stored_of(self._viewing, request.path_params["address"])
        if stored.record is None:
            raise HTTPException(404, f"The entry cannot be read: {stored.problem}")
        data, ending = _as_file(stored.record, self._viewing.engine)
        name = file_name(text_of_key(stored.key), ending)
        headers = {"content-disposition": f'attachment; filename="{name}"', "content-length": str(len(data))}
        return StreamingResponse(_chunks(data), media_type="application/octet-stream", headers=headers)

    def _value(self, request: Request) -> Any:
        stored = stored_of(self._viewing, request.path_params["address"])
        if stored.record is None:
            raise HTTPException(404, f"The entry cannot be read: {stored.problem}")
        try:
            return plain_value(stored.record, self._viewing.engine)
        except NotShown as error:
            raise HTTPException(404, str(error)) from None


def file_name(key: str, ending: str) -> str:
    """A name for a file that no system takes for anything else: from the last part of a key.

    >>> file_name("photos/leek.jpg", ".jpg"), file_name('../"evil\\n', ".bin"), file_name("///", ".txt")
    ('leek.jpg', 'evil.bin', 'value.txt')
    """
    last = re.sub(r"[^A-Za-z0-9._-]+", "_", key.rstrip("/").rpartition("/")[2].removesuffix("'"))
    name = re.sub(r"\.{2,}", ".", last).strip("._-")[:80] or "value"
    return name if name.lower().endswith(ending) else name + ending


def _as_file(record: Record[Any, Any], engine: Engine) -> tuple[memoryview, str]:
    """The bytes of a value as a file, and how its name ends."""
    try:
        value = plain_value(record, engine, largest=None)
    except NotShown:
        value = None
    if isinstance(value, (bytes, bytearray, memoryview)):
        return memoryview(value).cast("B"), _ENDINGS.get(kind_of_picture(value) or "", ".bin")
    if isinstance(value, str):
        return memoryview(value.encode("utf-8", "surrogatepass")), ".txt"
    try:
        return memoryview(payload_of(record, largest=None)), _FORMS.get(record.codec or "", ".bin")
    except NotShown:
        return memoryview(record.raw), ".record"


def _chunks(data: memoryview) -> Iterator[memoryview]:
    for at in range(0, len(data), _CHUNK):
        yield data[at : at + _CHUNK]
