"""Shelves of this library, and pickleshare's directories."""

from __future__ import annotations

import itertools
import pickle
import pickletools
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from coshelf.contract import distrust
from coshelf.engines.files import FilesEngine
from coshelf.errors import CoshelfError, DamagedShelf
from coshelf.keys import shown
from coshelf.mapping.shelf import Shelf
from coshelf.opening import open_with_codec
from coshelf.transfer.pickles import entry, pickled
from coshelf.transfer.report import Left
from coshelf.transfer.source import Skipped, Source, SourceEntry, SourceOptions
from coshelf.values.envelope import envelope_of
from coshelf.values.front_doors import RAW_PICKLES

__all__ = ["PickleShareSource", "ShelfSource"]

_BUCKET = re.compile("[0-9a-f]{2}|xx")


class ShelfSource(Source):
    """A shelf on any engine, opened with flag "r"."""

    kind = "coshelf"

    def __init__(self, target: str, options: SourceOptions) -> None:
        self._shelf: Shelf[Any, bytes] = open_with_codec(target, "r", RAW_PICKLES)
        self.is_trusted = distrust(self._shelf.engine_for("import")) is None

    def count(self) -> int | None:
        return len(self._shelf) if self._shelf.capabilities.cheap_count else None

    def entries(self) -> Iterator[SourceEntry | Left]:
        for key in self._shelf:
            found = self._read(key)
            if found is not None:
                yield found

    def _read(self, key: Any) -> SourceEntry | Left | None:
        """One entry; None if it was deleted meanwhile."""
        try:
            record = self._shelf.record(key)
            found = entry(key, record.decode())
            return found if isinstance(found, Left) else replace(found, envelope=envelope_of(record.raw))
        except KeyError:
            return None
        except CoshelfError as error:
            return Left(shown(key), str(error).splitlines()[0])

    def close(self) -> None:
        self._shelf.close()


class PickleShareSource(ShelfSource):
    """A directory in pickleshare's layout. The buckets of a hashed category become the entries that they hold."""

    kind = "pickleshare"

    def __init__(self, directory: str, options: SourceOptions) -> None:
        super().__init__(f"files:{directory}", options)
        self._options = options

    def entries(self) -> Iterator[SourceEntry | Left]:
        keys = list(self._shelf)
        categories = self._hashed([key for key in keys if isinstance(key, str)])
        for key in keys:
            if not isinstance(key, str) or key.rpartition("/")[0] not in categories:
                found = self._read(key)
                if found is not None:
                    yield found
        engine = self._shelf.engine_for("import")
        assert isinstance(engine, FilesEngine)
        for path in engine.others():
            yield Left(shown(path), "the file holds no pickle")
        for category, buckets in sorted(categories.items()):
            if self._options.trust_pickle:
                yield from self._merged(category, buckets)
            else:
                yield Skipped(
                    f"{category}/*", f"a hashed category: its {len(buckets)} buckets must be unpickled (--trust-pickle)"
                )

    def _hashed(self, names: list[str]) -> dict[str, list[str]]:
        """The hashed categories and their files: directories in which all files are named as buckets and hold dicts."""
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(name.rpartition("/")[0], []).append(name)
        return {directory: of for directory, of in found.items() if directory and all(map(self._is_bucket, of))}

    def _is_bucket(self, name: str) -> bool:
        if not _BUCKET.fullmatch(name.rpartition("/")[2]):
            return False
        try:
            return _is_dict(self._shelf[name])
        except (KeyError, CoshelfError):
            return True  # removed or broken: the other files decide

    def _merged(self, category: str, buckets: list[str]) -> Iterator[SourceEntry | Left]:
        """The pairs in all buckets, merged as in pickleshare's ``hdict``: other buckets override the compressed one."""
        merged: dict[Any, Any] = {}
        for name in sorted(buckets, key=lambda name: (not name.endswith("/xx"), name)):
            try:
                merged.update(pickle.loads(self._shelf[name]))
            except KeyError:
                continue
            except DamagedShelf as error:
                yield Left(shown(name), str(error).splitlines()[0])
            except Exception as error:  # a pickle can raise any error
                yield Left(shown(name), f"the bucket cannot be unpickled: {error!r}")
        for key, value in merged.items():
            yield SourceEntry(f"{category}/{key}" if isinstance(key, str) else (f"{category}/", key), pickled(value))


def _is_dict(data: bytes) -> bool:
    """Whether a pickle is that of a dict. The first instruction that makes an object decides."""
    try:
        names = [code.name for code, _, _ in itertools.islice(pickletools.genops(data), 4)]
    except ValueError:
        return False
    made = [name for name in names if name not in ("PROTO", "FRAME")]
    return made[:1] == ["EMPTY_DICT"] or made[:2] == ["MARK", "DICT"]
