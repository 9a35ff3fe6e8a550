"""The table of docs/coming-from-pickleshare.md, smaller: ours is right in each row, and the row can go wrong.

That it can is shown by pickleshare itself, where its fault does not depend on luck.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pickleshare_races as races
import pytest

OURS, OLD = "coshelf.pickleshare", "pickleshare"


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """A directory for ours and one for the old one."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "old").mkdir()
    return tmp_path / "ours", tmp_path / "old"


def sometimes(fails: Callable[[Path], bool], place: Path) -> bool:
    """Whether the old one fails in one of several turns: each is left to chance."""
    for turn in range(20):
        (place / str(turn)).mkdir()
        if fails(place / str(turn)):
            return True
    return False


@pytest.mark.parametrize("size", [10, 300_000])
def test_no_read_fails_while_another_process_writes(places: tuple[Path, Path], size: int) -> None:
    failed, reads = races.readers_during_writes(OURS, places[0], size)
    assert failed == 0
    assert reads > 0
    assert sometimes(lambda place: races.readers_during_writes(OLD, place, size)[0] > 0, places[1])


def test_value_that_cannot_be_pickled_leaves_the_old_one(places: tuple[Path, Path]) -> None:
    assert races.value_that_cannot_be_pickled(OURS, places[0]) == 1
    assert races.value_that_cannot_be_pickled(OLD, places[1]) == "nothing"


def test_second_write_within_a_second_is_seen(places: tuple[Path, Path]) -> None:
    assert races.second_write_in_a_second(OURS, places[0]) == "second"
    assert sometimes(lambda place: races.second_write_in_a_second(OLD, place) == "first", places[1])


def test_clear_goes_past_a_broken_file(places: tuple[Path, Path]) -> None:
    assert races.clear_with_a_broken_file(OURS, places[0]) == 0
    assert races.clear_with_a_broken_file(OLD, places[1]) > 0


def test_clear_ends_where_nothing_can_be_written() -> None:
    for module, end in ((OURS, "an error"), (OLD, "never")):
        with tempfile.TemporaryDirectory() as place:  # not below pytest's, which no other user can enter
            assert races.clear_where_nothing_can_be_written(module, Path(place), 30 if module == OURS else 0.5) == end
            (Path(place) / "db").chmod(0o755)
            assert os.listdir(Path(place) / "db") == ["a"]


def test_hashed_str_keys_are_the_same_in_every_process(places: tuple[Path, Path]) -> None:
    assert races.hashed_str_keys(OURS, places[0]) == ("fourth", "fourth")
    assert sometimes(lambda place: races.hashed_str_keys(OLD, place) != ("fourth", "fourth"), places[1])


def test_no_hset_is_lost_to_another(places: tuple[Path, Path]) -> None:
    assert races.hset_by_several(OURS, places[0], 60) == 180
    assert sometimes(lambda place: races.hset_by_several(OLD, place, 60) < 180, places[1])


def test_compressed_keys_stay_to_be_found(places: tuple[Path, Path]) -> None:
    assert races.compressed_keys_hidden(OURS, places[0]) == 10
    assert races.compressed_keys_hidden(OLD, places[1]) == 0


def test_compressing_keeps_the_newest(places: tuple[Path, Path]) -> None:
    assert races.compressed_twice(OURS, places[0]) == 256


def test_reading_a_category_loses_nothing(places: tuple[Path, Path]) -> None:
    assert races.reading_while_hset(OURS, places[0], 300) == 300


def test_compressing_loses_nothing(places: tuple[Path, Path]) -> None:
    assert races.compressing_while_hset(OURS, places[0], 200) == 200
    assert sometimes(lambda place: races.compressing_while_hset(OLD, place, 500) < 500, places[1])


def test_no_nested_key_is_lost(places: tuple[Path, Path]) -> None:
    assert races.nested_keys_at_once(OURS, places[0], 100) == 400


def test_no_key_leads_out(places: tuple[Path, Path]) -> None:
    assert races.key_that_leads_out(OURS, places[0]) == "refused"
    assert races.key_that_leads_out(OLD, places[1]) == "outside"


def test_key_error_of_what_cannot_be_read_has_the_cause(places: tuple[Path, Path]) -> None:
    assert races.unreadable_value(OURS, places[0]) == "ModuleNotFoundError"


def test_killed_writer_leaves_a_whole_value(places: tuple[Path, Path]) -> None:
    assert races.killed_writers(OURS, places[0], 5) == 0
