"""What is readable in a damaged file is saved, what is not is said, and nothing wrong is made up."""

from __future__ import annotations

import itertools
import os
import random
from pathlib import Path
from typing import Any

import pytest
from kinds import KINDS, PAGE
from shapes import SHAPES, Shape, make

import coshelf
from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.engines.lmdb.pages.layout import children, nodes_of
from coshelf.inspection.reports import SalvageReport


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shape]:
    """Shelves of all shapes, closed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        return {name: make(name, str(tmp_path_factory.mktemp("shelf"))) for name in SHAPES}


def page_of(content: bytes, number: int) -> bytes:
    return content[number * PAGE : (number + 1) * PAGE]


def tree_of(path: str) -> tuple[list[int], dict[int, set[bytes]]]:
    """The inner pages of a whole shelf, and its leaf pages with the rows that are on them."""
    content = Path(path).read_bytes()
    with open(path, "rb") as file:
        meta = max(read_metas(file.fileno(), path), key=lambda meta: meta.transaction)
    inner, level = [], [meta.main_root]
    for _ in range(meta.main_depth - 1):
        inner += level
        level = [child for number in level for child in children(page_of(content, number))]
    leaves = {}
    for number in level:
        found = list(nodes_of(number, page_of(content, number)))
        assert None not in found
        leaves[number] = {node.key for node in found if node is not None}
    return inner, leaves


def blank(content: bytes, *numbers: int) -> bytes:
    for number in numbers:
        content = content[: number * PAGE] + bytes(PAGE) + content[(number + 1) * PAGE :]
    return content


def salvaged(path: str, content: bytes) -> tuple[dict[Any, Any], SalvageReport]:
    """What comes out of a file with this content, as a shelf that is whole."""
    Path(path).write_bytes(content)
    target = path + ".salvaged"
    Path(target).unlink(missing_ok=True)
    report = coshelf.salvage(path, target)
    assert Path(path).read_bytes() == content
    with coshelf.open(target, "r") as shelf:
        entries = shelf.copy()
        assert len(shelf) == report.entries == len(entries)
    assert coshelf.check(target).ok
    return entries, report


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("gone", ["nothing", "newest header", "older header", "both headers"])
def test_everything_is_saved_without_headers(name: str, gone: str, shapes: dict[str, Shape], path: str) -> None:
    shape = shapes[name]
    Path(path).write_bytes(shape.whole)
    with open(path, "rb") as file:
        newest = max(read_metas(file.fileno(), path), key=lambda meta: meta.transaction).transaction % 2
    numbers = {"nothing": [], "newest header": [newest], "older header": [1 - newest], "both headers": [0, 1]}[gone]
    entries, report = salvaged(path, blank(shape.whole, *numbers))
    assert entries == shape.entries
    assert (report.lost, report.resurrected) == (0, 0)


@pytest.mark.parametrize("name", SHAPES)
def test_everything_is_saved_without_inner_pages(name: str, shapes: dict[str, Shape], path: str) -> None:
    shape = shapes[name]
    Path(path).write_bytes(shape.whole)
    inner, _ = tree_of(path)
    for gone in [inner, inner[:1], inner[-1:]] if inner else []:
        entries, report = salvaged(path, blank(shape.whole, *gone))
        assert entries == shape.entries
        assert (report.lost, report.resurrected) == (0, 0)
        assert not report.ok


@pytest.mark.parametrize("name", SHAPES)
def test_everything_is_found_without_headers_and_inner_pages(name: str, shapes: dict[str, Shape], path: str) -> None:
    shape = shapes[name]
    Path(path).write_bytes(shape.whole)
    inner, _ = tree_of(path)
    entries, report = salvaged(path, blank(shape.whole, 0, 1, *inner))
    assert {key: entries[key] for key in shape.entries} == shape.entries
    assert len(entries) - len(shape.entries) <= report.resurrected


@pytest.mark.parametrize("name", SHAPES)
def test_all_but_damaged_leaf_pages_is_saved(name: str, shapes: dict[str, Shape], path: str) -> None:
    shape = shapes[name]
    Path(path).write_bytes(shape.whole)
    _, leaves = tree_of(path)
    chance = random.Random(name)
    for number in chance.sample(sorted(leaves), min(3, len(leaves))):
        if len(leaves) == 1:
            continue
        entries, report = salvaged(path, blank(shape.whole, number))
        assert not report.ok
        on_page = len(leaves[number])
        # What comes back besides is older, and said to be.
        right = {key for key, value in entries.items() if key in shape.entries and shape.entries[key] == value}
        assert len(shape.entries) - len(right) <= on_page + report.lost
        assert len(entries) - len(right) <= report.resurrected


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("every bit", "stale")])
@pytest.mark.parametrize("name", SHAPES)
def test_no_damage_makes_a_salvage_invent_something(name: str, kind: str, shapes: dict[str, Shape], path: str) -> None:
    shape = shapes[name]
    for damage in itertools.islice(KINDS[kind](shape, random.Random(f"{name} {kind} salvage")), 3):
        try:
            entries, report = salvaged(path, damage.content)
        except coshelf.NotAShelf:
            assert name == "few"
            continue
        wrong = sum(key not in shape.entries or shape.entries[key] != value for key, value in entries.items())
        header_lost = any(problem.kind == "header" for problem in report.problems)
        assert wrong <= report.resurrected or header_lost, damage.where
        missing = len(shape.entries.keys() - entries.keys())
        assert not missing or not report.ok, damage.where


def test_value_that_lies_where_no_file_can_have_it_is_lost(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({"small": 1, "large": "x" * 10_000})
    content = bytearray(Path(path).read_bytes())
    leaf = content.rindex(b"0large") + len(b"0large")  # in front of the number of its first page
    content[leaf + 7] = 0x08
    entries, report = salvaged(path, bytes(content))
    assert entries == {"small": 1}
    assert report.lost == 1
    assert not coshelf.check(path).ok


def test_damaged_record_is_named(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update(dict.fromkeys(range(100), "x" * 100) | {"marked": "here I am"})
    content = Path(path).read_bytes()
    entries, report = salvaged(path, content.replace(b"here I am", b"here 2 am"))
    assert entries == dict.fromkeys(range(100), "x" * 100)
    assert report.lost == 1
    assert "'marked'" in report.problems[0].where


def test_settings_and_versions_are_saved(path: str) -> None:
    from coshelf.contract import Batch

    with coshelf.open(path) as shelf:
        engine = shelf._handle.engine
        engine.commit(Batch(puts={b"\x01codec": b"\x02some"}))
        shelf["a"] = 1
        version = engine.get(b"\x30a").version
    salvaged(path, blank(Path(path).read_bytes(), 0, 1))
    with coshelf.open(path + ".salvaged") as shelf:
        engine = shelf._handle.engine
        assert engine.get(b"\x01codec").record.startswith(b"\x02some")
        assert engine.get(b"\x30a").version == version
        shelf["b"] = 2
        assert engine.get(b"\x30b").version > version


def test_salvaged_shelf_is_trusted_if_the_damaged_one_is(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    for name, trusted in ((path, True), (path + ".copy", False)):
        if not trusted:
            Path(name).write_bytes(Path(path).read_bytes())
        coshelf.salvage(name, name + ".salvaged")
        with coshelf.open(name + ".salvaged", "r") as shelf:
            assert (shelf._handle.engine.distrust() is None) == trusted


def test_open_shelf_is_not_salvaged(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
        with pytest.raises(coshelf.ShelfLocked, match="backup"):
            coshelf.salvage(path, path + ".salvaged")


def test_target_is_never_replaced(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["a"] = 1
    for target in (path, path + ".other"):
        Path(path + ".other").write_text("kept")
        with pytest.raises(coshelf.ShelfExists):
            coshelf.salvage(path, target)
    assert Path(path + ".other").read_text() == "kept"


@pytest.mark.parametrize("content", [b"", b"text", bytes(100_000)])
def test_nothing_is_made_of_nothing(content: bytes, path: str) -> None:
    Path(path).write_bytes(content)
    with pytest.raises(coshelf.NotAShelf):
        coshelf.salvage(path, path + ".salvaged")
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]


# --- what is missing -------------------------------------------------------------------------------------------------


def counted_shelf(path: str) -> tuple[bytes, dict[int, set[bytes]]]:
    """The bytes of a shelf of 5,000 entries that was written once, and its leaf pages."""
    with coshelf.open(path) as shelf:
        shelf.update({f"key {number:05}": "x" * (number % 60) for number in range(5_000)})
        shelf.compact()  # no page has an older state of another
    return Path(path).read_bytes(), tree_of(path)[1]


def test_entries_that_the_header_counts_and_nothing_names_are_lost(path: str) -> None:
    content, leaves = counted_shelf(path)
    number = sorted(leaves)[len(leaves) // 2]
    entries, report = salvaged(path, blank(content, number))
    assert report.lost == 5_000 - len(entries) == len(leaves[number])
    assert report.lost_is_known
    assert any("counts 5,000 entries" in problem.message for problem in report.problems)


def test_entries_that_an_older_state_of_a_page_lacks_are_lost(path: str) -> None:
    """The page looks right in every way: only the count tells."""
    content, leaves = counted_shelf(path)
    number = sorted(leaves)[len(leaves) // 2]
    page = bytearray(page_of(content, number))
    lower = int.from_bytes(page[12:14], "little")
    last = int.from_bytes(page[lower - 2 : lower], "little")  # written in order: the last row lies first
    upper = int.from_bytes(page[14:16], "little")
    assert last == upper
    before = int.from_bytes(page[lower - 4 : lower - 2], "little")
    page[12:14], page[14:16] = (lower - 2).to_bytes(2, "little"), before.to_bytes(2, "little")
    damaged = content[: number * PAGE] + bytes(page) + content[(number + 1) * PAGE :]
    _, report = salvaged(path, damaged)
    assert (report.lost, report.lost_is_known) == (1, True)
    without_stamp = bytearray(damaged)
    for header in (0, 1):
        without_stamp[header * PAGE + 512 : (header + 1) * PAGE] = bytes(PAGE - 512)
    _, report = salvaged(path, bytes(without_stamp))
    assert (report.lost, report.lost_is_known) == (1, False)


@pytest.mark.parametrize("gone", ["count", "headers", "shelf row"])
def test_salvage_says_that_it_does_not_know_what_is_lost_where_the_count_is_damaged(gone: str, path: str) -> None:
    content, leaves = counted_shelf(path)
    with open(path, "rb") as file:
        header = max(read_metas(file.fileno(), path), key=lambda meta: meta.transaction).place
    if gone == "count":
        at = header * PAGE + 120
        content = content[:at] + (1 << 40).to_bytes(8, "little") + content[at + 8 :]
    else:
        row = next(number for number, rows in leaves.items() if b"\0shelf" in rows)
        content = blank(content, *([0, 1] if gone == "headers" else [row]))
    _, report = salvaged(path, content)
    assert not report.lost_is_known
    assert report.lost < 5_000


def test_command_says_what_is_lost_and_what_is_not_known(path: str) -> None:
    from click.testing import CliRunner

    from coshelf.cli.salvage_command import salvage_command

    content, leaves = counted_shelf(path)
    last = max(leaves)
    for pages, expected in (([last], f"{len(leaves[last])} lost"), ([0, 1], "it is unknown how many are lost")):
        Path(path).write_bytes(blank(content, *pages))
        Path(path + ".new").unlink(missing_ok=True)
        assert expected in CliRunner().invoke(salvage_command, [path, path + ".new"]).output
