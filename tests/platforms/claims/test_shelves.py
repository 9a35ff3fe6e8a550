"""What one process relies on, wherever it runs."""

from __future__ import annotations

import asyncio
import fractions
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import coshelf
import coshelf.aio
from coshelf.errors import CoshelfError
from coshelf.transfer import export_entries, import_entries


def test_large_values_come_back_whole(target: str) -> None:
    data = {"array": bytearray(range(256)) * 10_000, "text": "ä" * 300_000}
    with coshelf.open(target) as shelf:
        shelf.update(data)
    with coshelf.open(target) as shelf:
        assert bytes(shelf["array"]) == bytes(data["array"])
        assert shelf["text"] == data["text"]


def test_objects_of_ones_own_shelf_are_loaded(target: str) -> None:
    with coshelf.open(target) as shelf:
        shelf["half"] = fractions.Fraction(1, 2)
    with coshelf.open(target) as shelf:
        assert shelf["half"] == fractions.Fraction(1, 2)


def test_durable_commits_and_compaction_keep_all(target: str) -> None:
    with coshelf.open(target, durability="commit") as shelf:
        shelf.update({str(number): number for number in range(50)})
        if not target.startswith("files:"):  # which has no file that could be smaller
            shelf.compact()
        shelf["after"] = True
        shelf.sync()
    with coshelf.open(target) as shelf:
        assert len(shelf) == 51


def test_threads_that_share_a_shelf_count_exactly(target: str) -> None:
    with coshelf.open(target) as shelf:

        def count() -> None:
            for _ in range(20):
                shelf.incr("count")

        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shelf["count"] == 60


def test_tasks_share_a_shelf(target: str) -> None:
    async def count() -> int:
        async with await coshelf.aio.open(target) as shelf:
            await asyncio.gather(*(shelf.incr("count") for _ in range(10)))
            return int(await shelf.get("count"))

    assert asyncio.run(count()) == 10


def test_foreign_files_are_refused_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"not a shelf\r\n" * 500)
    for target in (str(path), f"sqlite:{path}", f"files:{path}"):
        with pytest.raises(CoshelfError):
            coshelf.open(target).close()
    assert path.read_bytes() == b"not a shelf\r\n" * 500


def test_backup_is_a_shelf_with_all_entries(target: str, tmp_path: Path) -> None:
    with coshelf.open(target) as shelf:
        shelf["a"] = 1
        shelf.backup(tmp_path / "copy.shelf")
    with coshelf.open(tmp_path / "copy.shelf") as shelf:
        assert dict(shelf) == {"a": 1}


def test_commands_store_and_show_entries(target: str) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "coshelf", *arguments], capture_output=True, text=True, encoding="utf-8", timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("set", target, "hello", "[15]", "--literal")
    assert "15" in run("get", target, "hello")
    assert "hello" in run("ls", target)


def test_files_of_a_closed_shelf_can_be_removed(target: str, tmp_path: Path) -> None:
    with coshelf.open(target) as shelf:
        shelf.update({"a": 1, "large": bytes(3 << 20)})
        assert shelf["large"] == bytes(3 << 20)
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with coshelf.open(target) as shelf:
        assert dict(shelf) == {}


def test_backup_takes_the_place_of_an_older_one(target: str, tmp_path: Path) -> None:
    with coshelf.open(target) as shelf:
        for number in range(2):
            shelf["a"] = number
            shelf.backup(tmp_path / "copy.shelf", overwrite=True)
    with coshelf.open(tmp_path / "copy.shelf") as shelf:
        assert dict(shelf) == {"a": 1}


def test_two_spellings_of_a_name_are_one_shelf_where_files_are(tmp_path: Path) -> None:
    (tmp_path / "Name").touch()
    if not (tmp_path / "nAME").exists():
        pytest.skip("names that differ by case are two files here")
    with coshelf.open(f"sqlite:{tmp_path / 'Recipes.shelf'}") as shelf:
        shelf["a"] = 1
        with coshelf.open(f"sqlite:{tmp_path / 'RECIPES.shelf'}") as other:
            assert other.incr("a") == 2
        assert shelf["a"] == 2


def test_entries_that_are_exported_can_be_imported(target: str, tmp_path: Path) -> None:
    with coshelf.open(target) as shelf:
        shelf.update({"b": [1, None], "a": "ä\r\n"})
    lines, copy = tmp_path / "entries.jsonl", f"sqlite:{tmp_path / 'Copy.shelf'}"
    export_entries(target, lines)
    export_entries(target, lines, overwrite=True)
    assert import_entries(lines, copy).done == 2
    with coshelf.open(copy) as shelf:
        assert dict(shelf) == {"b": [1, None], "a": "ä\r\n"}
