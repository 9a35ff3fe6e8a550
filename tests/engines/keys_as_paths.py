"""The files engine with keys of every kind, as the contract's tests want them: each becomes a safe path.

The order stays: digits and letters are greater than "/", that than "!", with which each path ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from coshelf import records
from coshelf.engines.contract import Batch, Doorbell, Engine, Entry, Exclusive, OpenOptions, Reader, Snapshot
from coshelf.errors import Conflict
from coshelf.keys import decode, encode

_PART = 200


def _path(key: bytes) -> bytes:
    digits = key.hex()
    parts = [digits[at : at + _PART] for at in range(0, len(digits), _PART)]
    return encode("x" + "/".join(parts) + "!")


def _key(path: bytes) -> bytes:
    return bytes.fromhex(decode(path)[1:-1].replace("/", ""))


def _sealed(key: bytes, entry: Entry) -> Entry:
    body = entry.record[: -records.TRAILER]
    return Entry(records.seal(body, records.checksum(key, body), 0), entry.version)


class _Translated(Reader):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, key: bytes) -> Entry | None:
        entry = self._reader.get(_path(key))
        return None if entry is None else _sealed(key, entry)

    def get_many(self, keys: list[bytes]) -> list[Entry | None]:
        found = self._reader.get_many([_path(key) for key in keys])
        return [None if entry is None else _sealed(key, entry) for key, entry in zip(keys, found, strict=True)]

    def scan(
        self, start: bytes, stop: bytes, *, reverse: bool = False, keys_only: bool = False
    ) -> Iterator[tuple[bytes, Entry | None]]:
        for path, entry in self._reader.scan(_path(start), _path(stop), reverse=reverse, keys_only=keys_only):
            key = _key(path)
            yield key, None if entry is None else _sealed(key, entry)

    def count(self, start: bytes, stop: bytes) -> int:
        return self._reader.count(_path(start), _path(stop))

    def snapshot(self) -> Snapshot:
        return _TranslatedSnapshot(self._reader.snapshot())


class _TranslatedSnapshot(_Translated, Snapshot):
    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(snapshot)
        self.close = snapshot.close  # type: ignore[method-assign]

    def close(self) -> None:
        raise AssertionError("replaced")


class KeysAsPaths(_Translated, Engine):
    """An engine of paths, for keys that are none."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._engine = engine
        self.name = engine.name
        self.capabilities = engine.capabilities
        self.where = engine.where
        self.owns_exclusive = engine.owns_exclusive  # type: ignore[method-assign]

    def commit(self, batch: Batch) -> int | str:
        return self._translate(batch, self._engine)

    def _translate(self, batch: Batch, target: Engine | Exclusive) -> int | str:
        try:
            return target.commit(
                Batch(
                    puts={_path(key): body for key, body in batch.puts.items()},
                    deletes=frozenset(_path(key) for key in batch.deletes),
                    checks={_path(key): version for key, version in batch.checks.items()},
                    clears=tuple((_path(start), _path(stop)) for start, stop in batch.clears),
                )
            )
        except Conflict as conflict:
            raise Conflict(str(conflict), tuple(_key(path) for path in conflict.keys)) from None

    @contextmanager
    def exclusive(self, timeout: float | None = None) -> Iterator[Exclusive]:
        with self._engine.exclusive(timeout) as lock:
            yield Exclusive(lambda batch: self._translate(batch, lock))

    def doorbell(self, key: bytes) -> Doorbell:
        return self._engine.doorbell(_path(key))

    def sync(self) -> None:
        self._engine.sync()

    def close(self) -> None:
        self._engine.close()

    def reopen_arguments(self) -> tuple[str, OpenOptions]:
        target, options = self._engine.reopen_arguments()
        return f"keys-as-paths:{target}", options
