"""Harm to the folder and its files from outside is a clear error, never a crash, another value, or a stuck shelf."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrays import LARGE, blob_paths, blobs, is_whole, signed, write_over
from support import Crew, beside

import coshelf
from coshelf.engines.lmdb.blobs import folder
from coshelf.errors import DamagedRecord, StorageError
from coshelf.values.blobs import MissingBlob

SCRIPTS = Path(__file__).parent / "scripts" / "from_outside"


def _removed(blob: str, _: str) -> None:
    os.unlink(blob)


def _cut(blob: str, _: str) -> None:
    os.truncate(blob, os.path.getsize(blob) - 1)


def _emptied(blob: str, _: str) -> None:
    os.truncate(blob, 0)


def _longer(blob: str, _: str) -> None:
    os.truncate(blob, os.path.getsize(blob) + 1)


def _swapped(blob: str, other: str) -> None:
    shutil.copyfile(other, blob)


def _another_head(blob: str, _: str) -> None:
    with open(blob, "rb") as file:
        file.seek(30)
        byte = file.read(1)[0]
    write_over(blob, 30, bytes([byte ^ 0xFF]))  # of the random id: any fixed byte may be the one that is there


def _link(blob: str, other: str) -> None:
    os.unlink(blob)
    os.symlink(other, blob)


def _directory(blob: str, _: str) -> None:
    os.unlink(blob)
    os.mkdir(blob)


def _pipe(blob: str, _: str) -> None:
    os.unlink(blob)
    os.mkfifo(blob)


HARM = [_removed, _cut, _emptied, _longer, _swapped, _another_head, _link, _directory, _pipe]


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("flushed", [False, True])
def test_a_harmed_blob_is_a_clear_error_and_the_rest_is_as_it_was(
    path: str, harm: Callable[[str, str], None], flushed: bool
) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["b"] = signed(2)
        (other,) = blob_paths(path)
        shelf["a"] = signed(1)
        if flushed:
            shelf.sync()
        (blob,) = {*blob_paths(path)} - {other}
        harm(blob, other)
        for read in (lambda: shelf["a"], lambda: shelf.get("a", copy=True), lambda: dict(shelf.items())):
            with pytest.raises((MissingBlob, StorageError), match="blob"):
                read()
        assert is_whole(shelf["b"]) and list(shelf) == ["a", "b"]
        report = shelf.check()
        assert [problem.kind for problem in report.problems] == ["blob"]
        shelf["c"] = 3
        shelf.sync()
        shelf["a"] = signed(4)
        shelf.sync()
        assert is_whole(shelf["a"]) and shelf.check().ok
    with coshelf.open(path) as shelf:
        assert is_whole(shelf["a"]) and is_whole(shelf["b"])


@pytest.mark.parametrize("place", [4096, 4096 + LARGE // 2, 4096 + LARGE - 1, 4096 + LARGE + 4096 + 7])
def test_check_finds_a_bit_that_flipped_anywhere_in_the_buffers(path: str, place: int) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"], shelf["b"] = [signed(1, LARGE + 5), signed(2)], signed(3)
        shelf.sync()
        blob = next(name for name in blob_paths(path) if os.path.getsize(name) > 2 * LARGE)
        with open(blob, "rb") as file:
            file.seek(place)
            byte = file.read(1)[0]
        write_over(blob, place, bytes([byte ^ 4]))
        (problem,) = shelf.check().problems
        assert problem.kind == "blob" and "'a'" in str(problem) and "checksum" in str(problem)
        write_over(blob, place, bytes([byte]))
        assert shelf.check().ok


@pytest.mark.parametrize("turn", range(40))
def test_a_flipped_bit_in_a_record_that_names_a_blob_is_never_another_value(path: str, turn: int) -> None:
    """Also where the record is so large that its checksum is not looked at."""
    padding = "x" * (70_000 if turn % 2 else 10)
    with coshelf.open(path) as shelf:
        shelf["a"] = [padding, signed(1)]
        shelf.sync()
    with open(path, "rb") as file:
        data = file.read()
    identity = bytes.fromhex(blobs(path)[0])
    places = []
    at = data.find(b"\x02\x28")
    while at >= 0:
        if data[at + 4 : at + 20] == identity:
            places.append(at)
        at = data.find(b"\x02\x28", at + 1)
    assert places
    for at in places:
        write_over(path, at + turn, bytes([data[at + turn] ^ 1 << turn % 8]))
    with coshelf.open(path) as shelf:
        with pytest.raises((DamagedRecord, coshelf.errors.FormatTooNew, coshelf.errors.UnreadableValue)):
            shelf["a"]
        shelf["a"] = 1
        assert shelf["a"] == 1


def test_a_folder_that_is_removed_takes_its_blobs_along_and_nothing_else(path: str) -> None:
    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["a"], shelf["c"] = signed(1), 3
        shutil.rmtree(path + ".coshelf-blobs")
        shelf.sync()
        with pytest.raises(MissingBlob, match="together with the shelf"):
            shelf["a"]
        shelf["b"] = signed(2)
        shelf.sync()
        assert is_whole(shelf["b"])
        del shelf["a"], shelf["b"]
    assert beside(path) == ["a.shelf"]


def _file(place: str) -> None:
    with open(place, "w"):
        pass


def _link_to_nowhere(place: str) -> None:
    os.symlink(place + "-nowhere", place)


def _link_to_folder(place: str) -> None:
    os.mkdir(place + "-elsewhere")
    os.symlink(place + "-elsewhere", place)


@pytest.mark.parametrize("thing", [_file, _link_to_nowhere, _link_to_folder])
@pytest.mark.parametrize("late", [False, True])
def test_something_else_in_the_place_of_the_folder_is_refused_and_left_alone(
    path: str, thing: Callable[[str], None], late: bool
) -> None:
    if not late:
        thing(path + ".coshelf-blobs")
    with coshelf.open(path) as shelf:
        if late:
            shelf["a"] = signed(1)
            shelf.sync()
            shelf["a"] = 1
            shutil.rmtree(path + ".coshelf-blobs")
            thing(path + ".coshelf-blobs")
        shelf["b"] = 2
        shelf.sync()
        with pytest.raises(StorageError, match="cannot write large buffers"):
            shelf["c"] = signed(3)
        shelf["b"] = 3
        shelf.sync()
    with coshelf.open(path) as shelf:
        assert shelf["b"] == 3 and "c" not in shelf
    assert os.path.lexists(path + ".coshelf-blobs")


def test_who_may_not_look_into_the_folder_opens_the_shelf_all_the_same(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"], shelf["b"] = signed(1), 2
    listdir, unlink = os.listdir, os.unlink

    def refused(real: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(name: Any, *more: Any, **options: Any) -> Any:
            if not isinstance(name, int) and ".coshelf-blobs" in os.fspath(name):
                raise PermissionError(13, "Permission denied", name)
            return real(name, *more, **options)

        return refuse

    monkeypatch.setattr(os, "listdir", refused(listdir))
    monkeypatch.setattr(os, "unlink", refused(unlink))
    with coshelf.open(path) as shelf:
        shelf["a"] = shelf["b"]
        shelf.sync()
        shelf["c"] = 1
    monkeypatch.undo()
    with coshelf.open(path) as shelf:
        assert dict(shelf) == {"a": 2, "b": 2, "c": 1}
    coshelf.open(path).close()
    assert blobs(path) == [], "removed by the first who may"


def test_the_folder_of_who_died_while_making_it_is_made_durable_by_the_next(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync_directory = folder.sync_directory

    def note(directory: str) -> None:
        synced.append(directory)
        sync_directory(directory)

    os.makedirs(path + ".coshelf-blobs/writers")
    with coshelf.open(path) as shelf:
        monkeypatch.setattr(folder, "sync_directory", note)
        shelf["a"] = signed(1)
        assert {os.path.dirname(path), path + ".coshelf-blobs", path + ".coshelf-blobs/writers"} <= {*synced}


@pytest.mark.parametrize("many", [False, True])
def test_what_could_not_be_made_durable_is_written_once_more_at_once(
    path: str, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    """The kernel calls pages clean that it could not write, and another process would take them for durable."""

    def fail(descriptor: int) -> None:
        raise OSError(5, os.strerror(5))

    with coshelf.open(path, flush_interval=1000) as shelf:
        shelf["first"] = signed(0)
        shelf.sync()
        shelf._handle.engine._environment.flusher.pause()  # it may be about to sync the same blob
        (first,) = blob_paths(path)
        before = os.stat(first).st_mtime_ns
        with monkeypatch.context() as patch:
            if many:
                monkeypatch.setattr(folder, "_MANY", 2)
                patch.setattr(folder, "sync_file_system", fail)
            else:
                patch.setattr(folder, "sync", fail)
            shelf.update({n: signed(n) for n in range(3)})
            new = [name for name in blob_paths(path) if name != first]
            for name in new:
                os.utime(name, (1, 1))  # the clock of files may stand still from the one writing to the other
            with pytest.raises(StorageError, match="cannot flush large buffers"):
                shelf.sync()
        assert len(new) == 3 and all(os.stat(name).st_mtime > 1 for name in new)
        assert os.stat(first).st_mtime_ns == before
        shelf.sync()
        assert all(map(is_whole, shelf.values())) and shelf.check().ok


def test_a_disk_that_is_full_refuses_the_array_and_keeps_everything_else(path: str, crew: Crew) -> None:
    crew.run(
        SCRIPTS / "full_disk.py",
        path,
    )
    with coshelf.open(path) as shelf:
        assert is_whole(shelf["a"]) and len(blobs(path)) == 1


def test_too_few_descriptors_are_a_clear_error_and_lose_nothing(crew: Crew, path: str) -> None:
    said = crew.run(
        SCRIPTS / "few_descriptors.py",
        path,
        options=("-W", "error"),
    )
    assert said == ["24", "24"]


def test_too_little_address_space_is_a_clear_error(crew: Crew, path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"], shelf["b"] = np.zeros(512 * LARGE // 8), 2
    said = crew.run(
        SCRIPTS / "little_address_space.py",
        path,
    )
    assert said == ["12"]
