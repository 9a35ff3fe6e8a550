"""The listing of folders that adapters share."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coshelf
from coshelf.contrib.folders import children
from coshelf.contrib.stored_bytes import as_value, view_of


@settings(max_examples=30)
@given(
    st.sets(st.lists(st.sampled_from(["a", "a-", "a0", "b", "é", ""]), min_size=1, max_size=3).map("/".join)),
    st.sampled_from(["", "a/", "a-/", "b/a/"]),
)
def test_a_listing_has_each_name_right_below_the_folder_once(keys: set[str], folder: str) -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update(dict.fromkeys(keys, 0))
        below = [key.removeprefix(folder) for key in keys if key.startswith(folder)]
        expected = {name.partition("/")[0] + name.partition("/")[1] for name in below}
        found = list(children(shelf, folder))
        assert sorted(found) == sorted(expected)


def test_a_listing_looks_once_into_each_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    with coshelf.open("memory:") as shelf:
        shelf.update({f"{folder}/{number}": 0 for folder in "abc" for number in range(2_000)})
        read = []

        class Keys:
            @staticmethod
            def keys(**conditions: str) -> object:
                return (read.append(key) or key for key in shelf.keys(**conditions))

        assert list(children(Keys())) == ["a/", "b/", "c/"]  # type: ignore[arg-type]
        assert read == ["a/0", "b/0", "c/0"]


def test_bytes_of_any_size_come_back() -> None:
    with coshelf.open("memory:") as shelf:
        for size in (0, 1, (1 << 20) - 1, 1 << 20):
            data = bytes(size)
            shelf["a"] = as_value(bytearray(data))
            assert view_of("a", shelf["a"]) == data


def test_another_value_is_named_and_not_taken_for_bytes() -> None:
    with pytest.raises(coshelf.UnreadableValue, match="'a' is of type int"):
        view_of("a", 5)
