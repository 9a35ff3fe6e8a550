"""A check finds whatever is damaged, says where, and finds nothing in what is whole."""

from __future__ import annotations

import itertools
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from kinds import KINDS, PAGE
from shapes import SHAPES, Shape, make
from support import Crew

import coshelf
from coshelf.engines.lmdb.checks.records import StateCheck
from coshelf.engines.lmdb.pages.header import read_metas
from coshelf.engines.lmdb.pages.reading import Pages
from coshelf.inspection.reports import Report

SCRIPTS = Path(__file__).parent / "scripts" / "check"

TRIALS = 8


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shape]:
    """Shelves of all shapes, closed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        return {name: make(name, str(tmp_path_factory.mktemp("shelf"))) for name in SHAPES}


def in_use(path: str) -> set[int]:
    """The pages that the last transaction uses, its header among them."""
    with open(path, "rb") as file:
        meta = max(read_metas(file.fileno(), path), key=lambda meta: meta.transaction)
        check = StateCheck(Pages(file.fileno(), meta.page_size), meta, Report(path), None)
        check.run()
    return {number for number, used in enumerate(check.used) if used} | {meta.transaction % 2}


def matters(whole: bytes, damaged: bytes, used: set[int]) -> bool:
    """Whether a damaged file differs where it is used: of header pages that is their beginning."""
    return any(
        whole[number * PAGE : number * PAGE + end] != damaged[number * PAGE : number * PAGE + end]
        for number in used
        for end in [512 if number < 2 else PAGE]
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "every bit"])
@pytest.mark.parametrize("name", SHAPES)
def test_damage_of_every_kind_is_found(name: str, kind: str, shapes: dict[str, Shape], path: str) -> None:
    shape = shapes[name]
    Path(path).write_bytes(shape.whole)
    used = in_use(path)
    for damage in itertools.islice(KINDS[kind](shape, random.Random(f"{name} {kind} check")), TRIALS):
        Path(path).write_bytes(damage.content)
        report = coshelf.check(path)
        assert not (report.ok and matters(shape.whole, damage.content, used)), damage.where
        assert Path(path).read_bytes() == damage.content


@pytest.mark.parametrize("name", SHAPES)
def test_whole_shelf_is_found_whole_open_and_closed(name: str, shapes: dict[str, Shape], path: str) -> None:
    Path(path).write_bytes(shapes[name].whole)
    closed = coshelf.check(path)
    assert closed.ok, closed.problems
    assert closed.entries == len(shapes[name].entries)
    with coshelf.open(path) as shelf:
        key = next(iter(shelf))
        shelf[key] = "changed"
        del shelf[list(shelf)[-1]]
        shelf["another"] = 1
        for report in (shelf.check(), coshelf.check(path)):
            assert report.ok, report.problems
            assert report.entries == len(shelf)
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]


def test_damaged_record_is_named_with_its_page(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf.update({("user", number): "x" * 100 for number in range(100)} | {("user", "marked"): "here I am"})
    content = Path(path).read_bytes()
    Path(path).write_bytes(content.replace(b"here I am", b"here 2 am"))
    records = [problem for problem in coshelf.check(path).problems if problem.kind == "record"]
    assert len(records) == 1
    page = content.index(b"here I am") // PAGE
    assert records[0].where == f"page {page}, key ('user', 'marked')"
    with coshelf.open(path, "r") as shelf:
        assert [problem.where for problem in shelf.check().problems] == [records[0].where]


def test_damage_to_a_large_value_is_found(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["large"] = b"x" * 5_000_000
    content = bytearray(Path(path).read_bytes())
    content[3_000_000] ^= 1
    Path(path).write_bytes(content)
    assert [problem.kind for problem in coshelf.check(path).problems] == ["record"]


@pytest.mark.parametrize("what", ["link", "entry", "orphan"])
def test_long_keys_that_do_not_fit_together_are_found(what: str, path: str) -> None:
    import lmdb

    key = "k" * 1_200
    with coshelf.open(path) as shelf:
        shelf.update({key: 1, key + "2": 2, "a": 3})
    with lmdb.open(path, subdir=False, lib_version=0, lock=False) as environment, environment.begin(write=True) as t:
        rows = [row for row, _ in t.cursor()]
        if what == "link":
            t.delete(next(row for row in rows if row.startswith(b"\x30k")))
        elif what == "entry":
            for row in rows:
                if row.startswith(b"\x02") and t.get(row) != b"\0":
                    t.delete(row)
        else:
            t.put(b"\x02" + bytes(16) + b"rest", b"value")
    assert "long key" in {problem.kind for problem in coshelf.check(path).problems}


@pytest.mark.parametrize(
    "content", [b"", b"text", bytes(100_000), b"\xff" * 8192, b"\0" * 16 + b"\xde\xc0\xef\xbe" * 4096]
)
def test_what_is_no_shelf_is_a_problem_and_no_crash(content: bytes, path: str) -> None:
    Path(path).write_bytes(content)
    report = coshelf.check(path)
    assert not report.ok
    assert report.problems[0].kind == "header"


def test_truncated_shelf_is_a_problem_and_no_crash(shapes: dict[str, Shape], path: str) -> None:
    whole = shapes["large values"].whole
    for end in range(0, len(whole) - PAGE, len(whole) // 20):
        Path(path).write_bytes(whole[:end])
        assert not coshelf.check(path).ok


def test_what_cannot_be_read_is_an_error(path: str) -> None:
    with pytest.raises(coshelf.ShelfNotFound):
        coshelf.check(path)
    with pytest.raises(coshelf.NotAShelf):
        coshelf.check(os.path.dirname(path))


def test_report_goes_to_json(path: str) -> None:
    Path(path).write_bytes(b"text")
    told = json.loads(json.dumps(coshelf.check(path).as_dict()))
    assert not told["ok"]
    assert told["problems"][0]["kind"] == "header"


@pytest.mark.parametrize("kind", ["memory", "mapping", "files"])
def test_other_engines_check_their_records(kind: str, path: str) -> None:
    mapping: dict[bytes, bytes] = {}
    target: Any = {"memory": "memory:", "mapping": mapping, "files": f"files:{path}.directory"}[kind]
    with coshelf.open(target) as shelf:
        shelf.update({"a": 1, "b": 2})
        report = shelf.check()
        assert report.ok
        assert report.entries == 2
        if kind == "mapping":
            mapping[b"\x30a"] = b"x" * 40
            assert [problem.where for problem in shelf.check().problems] == ["key 'a'"]


def test_part_of_a_shelf_is_not_checked(path: str) -> None:
    with coshelf.open(path) as shelf, pytest.raises(coshelf.Unsupported):
        shelf.sub("users").check()


WRITER = SCRIPTS / "writer_beside_the_check.py"


def test_check_beside_writers_finds_nothing(path: str, crew: Crew) -> None:
    with coshelf.open(path) as shelf:
        workers = crew.start_many(3, WRITER, path)
        numbers = set()
        while len(numbers) < 20:
            report = shelf.check()
            assert report.ok, report.problems
            numbers.add(report.entries)
        Path(path + ".stop").touch()
        for worker in workers:
            worker.finish()
        assert shelf.check().entries == len(shelf)
    assert coshelf.check(path).ok


def test_damaged_record_is_told_with_what_it_looks_like_and_not_unpickled(path: str) -> None:
    with coshelf.open(path) as shelf:
        shelf["marked"] = {"word": "here I am"}
    content = Path(path).read_bytes()
    Path(path).write_bytes(content.replace(b"here I am", b"here 2 am"))
    problem = next(each for each in coshelf.check(path).problems if each.kind == "record")
    assert problem.message.endswith("what is left looks like dict: {'word': 'here 2 am'}")


def test_value_that_goes_on_behind_the_end_of_the_file_is_a_page_that_is_not_there(path: str) -> None:
    """Its first page is: LMDB would read on, and the system would end the process."""
    with coshelf.open(path) as shelf:
        shelf.update({n: bytes([n]) * 9_000 for n in range(8)})
        shelf.compact()  # so that the last pages have a value
    size = os.stat(path).st_size
    os.truncate(path, size - 4096)
    assert any(
        problem.kind == "page" and "behind the end of the file, or what follows it does" in problem.message
        for problem in coshelf.check(path).problems
    )
    with pytest.raises(coshelf.DamagedShelf, match="truncated"):
        coshelf.open(path, trust=True)


@pytest.mark.parametrize("page", [0, 1])
def test_file_that_ends_within_its_stamp_is_damaged(page: int, path: str) -> None:
    for turn in range(2):  # the stamp is in the one header page or the other
        with coshelf.open(path) as shelf:
            shelf["a"] = turn
        content = Path(path).read_bytes()
        for length in range(page * 4096 + 512, page * 4096 + 580, 4):
            Path(path + ".cut").write_bytes(content[:length])
            assert not coshelf.check(path + ".cut").ok
            with pytest.raises(coshelf.CoshelfError):
                coshelf.open(path + ".cut", "r")
