"""Changes as a page is told them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.viewer.activity.changes import Burst, label_of, next_burst
from coshelf.viewer.activity.watching import Following, following, watching

PATIENCE = 60.0


def target_of(engine: str, place: Path) -> Any:
    path = str(place / "a.shelf")
    return {"lmdb": path, "memory": "memory:", "sqlite": f"sqlite:{path}", "files": f"files:{path}"}[engine]


@pytest.fixture(params=["lmdb", "memory", "sqlite", "files"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with coshelf.open(target_of(request.param, tmp_path)) as shelf:
        yield shelf


def told(watch: coshelf.Watch[Any, Any], count: int, **options: Any) -> list[Burst]:
    """Bursts until so many changes were told."""
    bursts: list[Burst] = []
    while sum(len(burst.changes) + burst.left_out for burst in bursts) < count:
        burst = next_burst(watch, PATIENCE, **options)
        assert burst is not None
        bursts.append(burst)
    return bursts


def test_each_change_is_told_with_its_key_and_the_beginning_of_its_value(shelf: Any) -> None:
    with watching(shelf) as watch:
        shelf["soups/leek"] = {"salt": 1}
        [first] = told(watch, 1)
        del shelf["soups/leek"]
        [second] = told(watch, 1)
    assert [(change.kind, change.label, change.text) for change in first.changes] == [
        ("set", "soups/leek", "{'salt': 1}")
    ]
    assert [(change.kind, change.label, change.text) for change in second.changes] == [("deleted", "soups/leek", "")]


def test_a_page_that_comes_back_is_told_what_came_since(shelf: Any) -> None:
    with watching(shelf) as watch:
        shelf["a"] = 1
        [first] = told(watch, 1)
    shelf["b"] = 2
    with watching(shelf, str(first.version)) as watch:
        [second] = told(watch, 1)
    assert [change.label for change in second.changes] == ["b"]


def test_of_many_changes_the_last_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, watching(shelf) as watch:
        shelf.update({number: number for number in range(1_000)})
        bursts = told(watch, 1_000, most=10)
        assert all(len(burst.changes) <= 10 for burst in bursts)
        assert bursts[-1].changes[-1].label == "999"


def test_only_selected_keys_are_told(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, watching(shelf) as watch:
        shelf.update({"a": 1, "b": 2})
        [burst] = told(watch, 1, selects=lambda key: key == "b")
        assert ([change.label for change in burst.changes], burst.left_out) == (["b"], 0)
        shelf["a"] = 3
        assert next_burst(watch, 0, selects=lambda key: key == "b") is None


def test_a_gap_is_told_whatever_is_selected(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf["a"] = 1
        with watching(shelf, 0) as watch:  # from a time before anybody watched
            [burst] = told(watch, 1, selects=lambda _: False)
        assert burst.has_gap
        assert burst.changes[0].kind == "gap"


def test_hostile_keys_and_values_are_told_as_harmless_text(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, watching(shelf) as watch:
        shelf["\x1b[2J\u202e<script>"] = "\x00\u202e</script>"
        shelf["long" * 25_000] = 1
        [*_, last] = bursts = told(watch, 2)
        texts = [text for burst in bursts for change in burst.changes for text in (change.label, change.text)]
        assert all(text.isprintable() for text in texts)
        assert len(last.changes[-1].label) == 200


def test_nothing_is_unpickled_to_tell_a_change(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf, watching(shelf) as watch:
        shelf["evil"] = _Runs(str(tmp_path / "ran"))
        [burst] = told(watch, 1)
    assert "mkdir" in burst.changes[0].text
    assert not (tmp_path / "ran").exists()


class _Runs:
    """Its pickle makes a directory when it is loaded."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)


@pytest.mark.parametrize("engine", ["lmdb", "sqlite"])
def test_a_shelf_that_is_open_for_reading_alone_is_watched(engine: str, tmp_path: Path) -> None:
    target = target_of(engine, tmp_path)
    with coshelf.open(target) as writer, coshelf.open(target, "r") as reader:
        since = reader.version
        with watching(reader, since) as watch:
            writer["a"] = 1
            [burst] = told(watch, 1)
    assert [change.label for change in burst.changes if change.kind == "set"] == ["a"]


def test_engines_say_what_they_tell(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert following(shelf) == Following(str(shelf.version), "Every commit is told.")
    with coshelf.open(f"files:{tmp_path}/b") as shelf:
        assert following(shelf) == Following(
            str(shelf.version), "Several changes of one entry may be told as one, the last of them."
        )


def test_labels_of_keys() -> None:
    assert [label_of(key) for key in ("a b", "", None, b"x", 15)] == ["a b", "''", "None", "b'x'", "15"]
