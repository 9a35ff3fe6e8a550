"""A mapping of zict in a shelf: zict's own checks of mappings, and what it promises beyond them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import zict
from fixtures import crew
from support import Crew
from zict.tests import utils_test

import coshelf
from coshelf.contrib.zict import CoshelfMapping

__all__ = ["crew"]


@pytest.fixture(params=["memory:", "sqlite:{}/a.sqlite"])
def mapping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CoshelfMapping]:
    with CoshelfMapping(request.param.format(tmp_path)) as mapping:
        yield mapping


@pytest.mark.parametrize(
    "check",
    [
        utils_test.check_mapping,
        utils_test.check_empty_mapping,
        utils_test.check_different_keys_threadsafe,
        utils_test.check_same_key_threadsafe,
        utils_test.check_bad_key_types,
        utils_test.check_bad_value_types,
        utils_test.check_closing,
    ],
)
def test_it_passes_the_checks_of_zict_on_other_engines(mapping: CoshelfMapping, check: object) -> None:
    check(mapping)  # type: ignore[operator]


def test_a_buffer_spills_to_it_and_reads_from_it(tmp_path: Path) -> None:
    with CoshelfMapping(tmp_path / "a.shelf") as slow:
        buffer = zict.Buffer({}, slow, n=10, weight=lambda _key, value: len(value))
        for number in range(20):
            buffer[number, "part"] = bytes([number]) * 3
        assert len(slow) == 17
        assert buffer[0, "part"] == b"\x00\x00\x00"
        assert (0, "part") not in slow
        assert len(buffer) == 20


def test_large_values_come_back_in_place_if_asked_for(tmp_path: Path) -> None:
    data = [b"1" * (1 << 20), memoryview(b"2")]
    with CoshelfMapping(tmp_path / "a.shelf", memmap=True) as mapping:
        mapping["a"] = data
        mapping["b"] = bytearray(b"small")
        found = mapping["a"]
        assert isinstance(found, memoryview)
        assert found.readonly
        assert found == b"".join(data)
        assert mapping["b"] == b"small"
    with CoshelfMapping(tmp_path / "a.shelf") as mapping:
        assert mapping["a"] == b"".join(data)
        assert type(mapping["a"]) is bytes


def test_an_update_is_one_commit_and_nothing_if_a_value_is_wrong(mapping: CoshelfMapping) -> None:
    with pytest.raises(TypeError, match="not of type int"):
        mapping.update({"a": b"1", "b": 2})
    with pytest.raises(TypeError):
        mapping["b"] = [b"1", 2]
    assert not mapping
    watch = mapping._part.shelf.watch()
    mapping.update({str(number): b"1" for number in range(20)})
    assert [watch.next(60).is_last for _ in range(20)] == [False] * 19 + [True]


def test_a_pickled_mapping_has_the_same_entries_though_it_began_empty(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["zict/old"] = b"1"
    with CoshelfMapping(tmp_path / "a.shelf", flag="n", memmap=True) as mapping:
        assert not mapping
        mapping["a"] = b"2"
        with pickle.loads(pickle.dumps(mapping)) as again:
            assert dict(again) == {"a": b"2"}
            assert again.memmap


def test_what_cannot_be_opened_or_is_closed_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("some text of mine, and no shelf")
    mapping = CoshelfMapping(tmp_path / "notes.txt")
    with pytest.raises(coshelf.NotAShelf):
        mapping["a"] = b"1"
    mapping.close()
    with pytest.raises(coshelf.ShelfClosed):
        mapping["a"]
    with coshelf.open("memory:") as shelf, pytest.raises(TypeError, match="takes no options"):
        CoshelfMapping(shelf, durability="commit")


def test_processes_share_it_and_a_kill_loses_nothing_that_was_stored(crew: Crew, tmp_path: Path) -> None:
    workers = [
        crew.start(
            """
            from coshelf.contrib.zict import CoshelfMapping
            mapping = CoshelfMapping(path)
            mapping.update({sys.argv[2] + str(number): b"1" * 5_000 for number in range(50)})
            say("stored")
            hear()
            """,
            tmp_path / "a.shelf",
            name,
        )
        for name in "ab"
    ]
    for worker in workers:
        worker.expect("stored")
    for worker in workers:
        worker.kill()
    with CoshelfMapping(tmp_path / "a.shelf") as mapping:
        assert len(mapping) == 100
        assert set(mapping.values()) == {b"1" * 5_000}
