"""Trains a dictionary on the values of a shelf, for :meth:`coshelf.Shelf.train_dictionary`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from coshelf.errors import Unsupported
from coshelf.inspection.tables import Table, Tabular, facts
from coshelf.system import extras
from coshelf.values.compression import Compression
from coshelf.values.dictionaries import Dictionaries
from coshelf.values.pickles import Pickles

if TYPE_CHECKING:
    from coshelf.contract import Engine
    from coshelf.inspection.reports import Progress
    from coshelf.mapping.handle import Handle
    from coshelf.mapping.namespace import Namespace
    from coshelf.values.codec import Codec

__all__ = ["Training", "train"]

_LONGEST = 128 * 1024  # bytes of a value that Zstandard looks at
_LEAST = 8  # samples
_OFTEN = 256  # values between two calls that tell the progress


@dataclass(frozen=True, slots=True)
class Training(Tabular):
    """The result of :meth:`coshelf.Shelf.train_dictionary`.

    Attributes:
        dictionary: the id of the dictionary.
        size: its bytes.
        samples: how many values it was trained on.
        before: bytes of these values, each compressed without the dictionary.
        after: bytes of these values, each compressed with the dictionary.
    """

    dictionary: int
    size: int
    samples: int
    before: int
    after: int

    def as_dict(self) -> dict[str, Any]:
        """All attributes, for JSON."""
        return dataclasses.asdict(self)

    def _tables(self) -> tuple[Table, ...]:
        rows = [
            ("dictionary", str(self.dictionary)),
            ("bytes of the dictionary", self.size),
            ("samples", self.samples),
            ("bytes without the dictionary", self.before),
            ("bytes with it", self.after),
        ]
        return (facts(rows),)


def train(
    handle: Handle, namespace: Namespace, *, samples: int, size: int, progress: Progress | None = None
) -> Training:
    """Train on values of a namespace, and store the dictionary."""
    codec = handle.codec
    compression = next((layer for layer in codec.layers if isinstance(layer, Compression)), None)
    compressor = None if compression is None else compression.compressor
    if compressor is None:
        raise Unsupported(
            f"train_dictionary(): the values of {handle.engine.where} are not compressed\n"
            "  hint: open it with compress='zstd', and recode=True if it has entries"
        )
    if samples < _LEAST or size < 256:
        raise ValueError(
            f"a dictionary needs 256 bytes and {_LEAST} samples or more, not {size} bytes and {samples} samples"
        )
    payloads = _payloads(handle.engine, namespace, codec, samples, progress)
    zstd = extras.zstd()
    try:
        found = zstd.train_dict(payloads, size)
    except (zstd.ZstdError, ValueError) as error:
        raise ValueError(
            f"no dictionary can be made of {len(payloads)} values of {sum(map(len, payloads)):,} bytes: {error}\n"
            "  hint: store more values (a hundred times the size of the dictionary is good), or give a smaller size="
        ) from error
    before = sum(map(compressor.packed_size, payloads))
    dictionaries = Dictionaries(handle.engine, Pickles(codec.protocol), codec.layers)
    dictionaries.store(found.dict_id, found.dict_content)
    compressor.look_again()
    after = sum(map(compressor.packed_size, payloads))
    return Training(found.dict_id, len(found.dict_content), len(payloads), before, after)


def _payloads(
    engine: Engine, namespace: Namespace, codec: Codec, samples: int, progress: Progress | None
) -> list[bytes]:
    """The payloads of values before compression, taken evenly from the whole namespace."""
    ranges = namespace.ranges
    total = sum(engine.count(start, stop) for start, stop in ranges)
    step = max(1, total // samples)
    payloads: list[bytes] = []
    number = 0
    for start, stop in ranges:
        for encoded, entry in engine.scan(start, stop):
            if not number % step and entry is not None and len(payloads) < samples:
                payloads.append(codec.opened(namespace.decode(encoded), encoded, entry.record)[1][:_LONGEST])
            number += 1
            if progress is not None and not number % _OFTEN:
                progress(number, total)
    if progress is not None:
        progress(number, number)
    return [payload for payload in payloads if payload]
