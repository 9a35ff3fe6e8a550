"""Opens a shelf: examines the objects under the prefix, and tests the capabilities of the server.

``PREFIX/coshelf.json`` marks a shelf, and has its id. The entries are the objects below ``PREFIX/e/``.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from coshelf import records
from coshelf.contract import Capabilities, Engine, OpenOptions
from coshelf.engines.objects.address import Address
from coshelf.engines.objects.client import NEW, Client
from coshelf.engines.objects.engine import ENTRIES, META, ObjectsEngine
from coshelf.engines.objects.failures import Changed
from coshelf.engines.objects.names import longest_key
from coshelf.engines.objects.probing import deletes_conditionally, refuse_careless
from coshelf.engines.objects.times import BESIDE_A_KEY
from coshelf.engines.objects.workers import Workers
from coshelf.errors import FormatTooNew, NotAShelf, ShelfNotFound

__all__ = ["open_engine"]

_SCRATCH = "scratch"
_FORMAT = 1
_PATIENCE = 5.0  # seconds for which opening tries to reach a server, whose name may have been misspelt
_LARGEST_OBJECT = 5 * 1024**3  # for one PUT on S3
_CAPABILITIES = Capabilities(
    ordered=True,
    snapshots=None,
    atomic="none",
    checks="entry",
    exclusive=None,
    watch="poll",
    shared="processes",
    persistent=True,
    acknowledged="durable",
    consistency="strict",
    largest_value=_LARGEST_OBJECT - records.TRAILER,
    cheap_count=False,
    expiry=True,
    turns="lease",
    changes="latest",
)


def open_engine(target: Any, options: OpenOptions) -> Engine:
    """The engine for ``s3://BUCKET/PREFIX``, ``gs://...`` or ``az://...``.

    Options are in the query: ``?endpoint=http://127.0.0.1:9000&region=...``, by the names that obstore has for them.
    The bucket must exist.
    """
    address = Address.parse(target)
    client = Client(address, options.timeout)
    client.patience = min(options.timeout, _PATIENCE)
    workers = Workers(address.shown)
    try:
        store_id = _store_id(client, address)
        if store_id is None and options.flag in ("r", "w"):
            raise ShelfNotFound(f"there is no shelf at {client.server}")
        if store_id is None:
            _refuse_foreign(client, address)
        conditional_deletes = False
        if options.flag != "r":
            scratch = f"{address.root}{_SCRATCH}/{os.urandom(16).hex()}"
            token = refuse_careless(client, scratch, workers)
            conditional_deletes = address.scheme == "s3" and deletes_conditionally(client, scratch, token)
            if not conditional_deletes:
                client.delete([scratch])
        if store_id is None:
            store_id = _made(client, address)
    except BaseException:
        workers.close()
        raise
    client.patience = options.timeout
    capabilities = dataclasses.replace(
        _CAPABILITIES,
        largest_key=longest_key(f"{address.root}{ENTRIES}/") - BESIDE_A_KEY,
        acknowledged="durable" if address.endpoint is None else "server",
    )
    return ObjectsEngine(address, client, workers, options, capabilities, store_id, conditional_deletes)


def _store_id(client: Client, address: Address) -> bytes | None:
    """The id of the shelf at this address; None if there is none."""
    found = client.get(address.root + META)
    if found is None:
        return None
    try:
        meta = json.loads(found.data)
        number, store_id = meta["coshelf"], bytes.fromhex(meta["id"])
    except (ValueError, TypeError, KeyError):
        raise NotAShelf(
            f"{address.root}{META} of {client.server} was not written by coshelf; nothing was changed"
        ) from None
    if number != _FORMAT:
        raise FormatTooNew(f"{client.server} has format {number}; this version of coshelf reads format {_FORMAT}")
    return store_id


def _refuse_foreign(client: Client, address: Address) -> None:
    """Raise :class:`NotAShelf` if there are objects of other programs where a shelf is to be made."""
    meta, scratch = f"{address.root}{META}", f"{address.root}{_SCRATCH}/"
    for page in client.pages(address.prefix, ""):
        for listed in page:
            if listed.name == meta:  # another process is making it
                return
            if not listed.name.startswith(scratch):
                raise NotAShelf(f"{client.server} holds other objects ({listed.name!r}); nothing was changed")


def _made(client: Client, address: Address) -> bytes:
    """Make the shelf, unless another process has made it meanwhile; return its id."""
    store_id = os.urandom(16)
    text = json.dumps({"coshelf": _FORMAT, "id": store_id.hex()}) + "\n"
    try:
        client.put(address.root + META, text.encode(), NEW)
    except Changed:
        found = _store_id(client, address)
        if found is None:
            raise ShelfNotFound(f"the shelf at {client.server} was removed while it was opened") from None
        return found
    return store_id
