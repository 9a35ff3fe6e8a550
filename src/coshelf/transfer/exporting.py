"""Exports a shelf to JSON lines, a directory of pickleshare, or a shelf of the standard library."""

from __future__ import annotations

import dbm
import os
import pickle
import secrets
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from coshelf.contract import OpenOptions
from coshelf.engines import files, refuse_credentials
from coshelf.errors import CoshelfError, InvalidKey, KeyTooLong, NotAShelf
from coshelf.keys import encode, shown
from coshelf.system.file_systems.durable import sync_directory
from coshelf.system.files import flags, names
from coshelf.system.files.paths import expanded
from coshelf.system.progress import showing
from coshelf.transfer.json_lines import line_of, same_in_json
from coshelf.transfer.report import Left, TransferProgress, TransferReport
from coshelf.transfer.shelf_source import ShelfSource
from coshelf.transfer.source import SourceEntry, SourceOptions
from coshelf.values.raw_pickles import RawPickles

__all__ = ["TARGETS", "export_entries"]

TARGETS = ("jsonl", "pickleshare", "shelve")
"""The kinds of targets."""

_SUFFIXES = ("", ".db", ".dat", ".dir", ".bak", ".pag")


def export_entries(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    kind: str | None = None,
    trust_pickle: bool = False,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: TransferProgress | bool | None = None,
) -> TransferReport:
    """Copy the entries of a shelf to a form that other programs read. The target appears complete, or not at all.

    Args:
        source: a path or URL of a shelf.
        target: a path; "-" is standard output, with JSON lines.
        kind: "jsonl", "pickleshare" or "shelve". None: a name with a slash at its end is a directory of pickleshare,
            and any other name is a file of JSON lines.
        trust_pickle: unpickle, and write values that JSON can hold exactly as JSON. Otherwise, and for all other
            values, a line holds the pickle in base64, which ``import`` reads.
        overwrite: whether a file at the target may be replaced.
        dry_run: only read and report.
        progress: a function that is called from time to time with the number of entries so far, and of all entries, or
            None; or True for a bar on the terminal, or in the notebook, if it takes over a second.

    Raises:
        NotAShelf: the target exists, and ``overwrite`` is not given.
        CoshelfError, OSError: what opening the source and writing the target may raise.

    >>> import coshelf, os, pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with coshelf.open(os.path.join(place, "a.shelf")) as shelf:
    ...         shelf["b", 1] = {"x": [1.5, None]}
    ...     export_entries(os.path.join(place, "a.shelf"), os.path.join(place, "a.jsonl"), trust_pickle=True).done
    ...     print(pathlib.Path(place, "a.jsonl").read_text(), end="")
    1
    {"key": ["b", 1], "value": {"x": [1.5, null]}}
    """
    refuse_credentials(source)
    refuse_credentials(target)
    place = expanded(os.fspath(target))
    kind = kind or ("pickleshare" if place.endswith("/") or place.startswith("files:") else "jsonl")
    if kind not in TARGETS:
        raise ValueError(f"unknown kind {kind!r} of target; the kinds are {', '.join(TARGETS)}")
    report = TransferReport(kind)
    with (
        ShelfSource(expanded(os.fspath(source)), SourceOptions()) as opened,
        showing(progress, place, "entries") as tell,
    ):
        if place == "-":
            _copy(opened, _JsonLines(sys.stdout, trust_pickle), report, dry_run, tell)
            sys.stdout.flush()
            return report
        place = os.path.abspath(place.removeprefix("files:"))
        _refuse_what_is_there(place, kind, overwrite=overwrite)
        if dry_run:
            _copy(opened, _JsonLines(None, trust_pickle) if kind == "jsonl" else None, report, dry_run, tell)
            return report
        with _whole(place) as making:
            sink = _sink(kind, making, trust_pickle)
            try:
                _copy(opened, sink, report, dry_run, tell)
            finally:
                sink.close()
    return report


def _copy(
    source: ShelfSource, sink: _Sink | None, report: TransferReport, dry_run: bool, progress: TransferProgress | None
) -> None:
    total, number = source.count(), 0
    for number, found in enumerate(source.entries(), 1):
        if isinstance(found, Left):
            report.failed.append(found)
        else:
            try:
                if sink is not None and not dry_run:
                    sink.put(found)
                report.done += 1
            except (InvalidKey, KeyTooLong, _Unfit) as error:
                report.failed.append(Left(shown(found.key), str(error).splitlines()[0]))
        if progress is not None and number % 1_000 == 0:
            progress(number, total)
    if progress is not None:
        progress(number, number)


@contextmanager
def _whole(place: str) -> Iterator[str]:
    """A name to write to, beside the target. At the end it is renamed to the target, or removed after an error."""
    making = f"{place}.{secrets.token_hex(4)}.exporting"
    try:
        yield making
        made = [suffix for suffix in _SUFFIXES if os.path.lexists(making + suffix)]
        for suffix in made:
            names.replace(making + suffix, place + suffix)
        sync_directory(os.path.dirname(place))
    finally:
        staging = os.path.join(os.path.dirname(making), f".{os.path.basename(making)}.coshelf-staging")
        for name in (staging, *(making + suffix for suffix in _SUFFIXES)):
            if os.path.isdir(name):
                shutil.rmtree(name)
            elif os.path.lexists(name):
                os.unlink(name)


def _refuse_what_is_there(place: str, kind: str, *, overwrite: bool) -> None:
    """Raise :class:`NotAShelf` for a target that may not be replaced. A directory is never replaced."""
    if os.path.isdir(place):
        raise NotAShelf(f"{place} is a directory; it has not been changed\n  hint: export to a new one")
    if not overwrite and (os.path.lexists(place) or (kind == "shelve" and dbm.whichdb(place) is not None)):
        raise NotAShelf(f"{place} exists already; it has not been changed\n  hint: --overwrite")


class _Unfit(CoshelfError):
    """An entry that a target cannot have."""


class _Sink(ABC):
    @abstractmethod
    def put(self, found: SourceEntry) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


def _sink(kind: str, place: str, trust_pickle: bool) -> _Sink:
    if kind == "jsonl":
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | flags.CLOSE_ON_EXEC, 0o600)
        return _JsonLines(open(descriptor, "w", encoding="utf-8", newline="\n"), trust_pickle)
    return _PickleShare(place) if kind == "pickleshare" else _Shelve(place)


class _JsonLines(_Sink):
    def __init__(self, file: IO[str] | None, trust_pickle: bool) -> None:
        self._file = file
        self._trust_pickle = trust_pickle

    def put(self, found: SourceEntry) -> None:
        assert self._file is not None
        self._file.write(self._line(found))

    def _line(self, found: SourceEntry) -> str:
        if self._trust_pickle:
            try:
                loaded = pickle.loads(found.pickle)
                if same_in_json(loaded):
                    return line_of(found.key, value=loaded, envelope=found.envelope)
            except Exception:  # noqa: S110 (a value that cannot be loaded here is written as a pickle)
                pass
        return line_of(found.key, pickle=found.pickle, envelope=found.envelope)

    def close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


class _PickleShare(_Sink):
    def __init__(self, place: str) -> None:
        self._codec = RawPickles()
        # Accepts only keys that pickleshare finds.
        self._engine = files.open_engine(f"files:{place}", OpenOptions(flag="c"), as_pickleshare=True)

    def put(self, found: SourceEntry) -> None:
        encoded = encode(found.key)
        self._engine.put(encoded, self._codec.dump(found.key, encoded, found.pickle))

    def close(self) -> None:
        self._engine.close()


class _Shelve(_Sink):
    def __init__(self, place: str) -> None:
        self._database = dbm.open(place, "n", 0o600)  # noqa: SIM115 (closed by close)

    def put(self, found: SourceEntry) -> None:
        if not isinstance(found.key, str):
            raise _Unfit("a shelf of the standard library has only str keys")
        self._database[found.key.encode()] = found.pickle

    def close(self) -> None:
        self._database.close()
