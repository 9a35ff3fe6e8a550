"""``writeback=True`` with the other ways to change, and where nothing may be changed. docs/reference/rules.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit_support import Pair

import coshelf


def edit(shelf: Any) -> None:
    with shelf.edit("a") as value:
        assert value == [1, 2]
        value.append(3)


def transaction(shelf: Any) -> None:
    with shelf.transaction() as t:
        assert t["a"] == [1, 2]
        t["a"] = [*t["a"], 3]


CHANGES: dict[str, Callable[[Any], Any]] = {
    "edit": edit,
    "modify": lambda shelf: shelf.modify("a", lambda old: [*old, 3]),
    "replace": lambda shelf: shelf.replace("a", [1, 2], [1, 2, 3]) or pytest.fail("not replaced"),
    "transaction": transaction,
    "transact": lambda shelf: shelf.transact(lambda t: t.__setitem__("a", [*t["a"], 3])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_ways_to_change_first_write_back(change: str, pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    CHANGES[change](pair.mine)
    assert pair.theirs["a"] == [1, 2, 3]
    assert pair.mine["a"] == [1, 2, 3]
    pair.mine["a"].append(4)
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2, 3, 4]


@pytest.mark.parametrize("change", CHANGES)
def test_other_ways_to_change_meet_a_conflict_first(change: str, pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    pair.theirs["a"] = ["theirs"]
    with pytest.raises(coshelf.Conflict) as caught:
        CHANGES[change](pair.mine)
    assert caught.value.values == {"a": [1, 2]}
    assert pair.theirs["a"] == ["theirs"]


def test_pop_returns_what_was_changed_in_place(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    assert pair.mine.pop("a") == [1, 2]
    assert "a" not in pair.theirs
    assert pair.mine.pop("a", "default") == "default"
    pair.mine.sync()
    assert "a" not in pair.theirs


def test_popitem_returns_what_was_changed_in_place(pair: Pair) -> None:
    pair.mine.update(a=[1], b=[1])
    pair.mine["b"].append(2)
    pair.mine["a"].append(2)
    assert pair.mine.popitem() == ("b", [1, 2])
    assert pair.mine.popitem(last=False) == ("a", [1, 2])
    assert not pair.theirs


def test_setdefault_of_a_changed_entry_that_others_deleted_loses_nothing(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    del pair.theirs["a"]
    with pytest.raises(coshelf.Conflict) as caught:
        pair.mine.setdefault("a", [])
    assert caught.value.values == {"a": [1, 2]}


def test_delete_forgets_the_value(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    del pair.mine["a"]
    with pytest.raises(KeyError):
        pair.mine["a"]
    pair.mine.sync()
    assert "a" not in pair.theirs
    with pytest.raises(KeyError):
        del pair.mine["a"]


def test_clear_forgets_all_values(pair: Pair) -> None:
    pair.mine.update({"a": [1], "users/b": [1], 5: [1]})
    for key in ("a", "users/b", 5):
        pair.mine[key].append(2)
    pair.mine.clear()
    pair.mine.sync()
    assert not pair.theirs
    assert pair.mine.get("a") is None


def test_clear_of_a_namespace_forgets_only_its_values(pair: Pair) -> None:
    pair.mine.update({"a": [1], "users/b": [1], ("users/", 5): [1], ("users/", 5, 6): [1]})
    for key in ("a", "users/b", ("users/", 5), ("users/", 5, 6)):
        pair.mine[key].append(2)
    pair.mine.sub("users").clear()
    pair.mine.sync()
    assert dict(pair.theirs) == {"a": [1, 2], ("users/", 5, 6): [1, 2]}


def test_overwriting_drops_the_old_object(pair: Pair) -> None:
    pair.mine["a"] = old = [1]
    pair.mine["a"] = new = [10]
    old.append(2)
    new.append(20)
    pair.mine.sync()
    assert pair.theirs["a"] == [10, 20]


def test_failed_edit_leaves_the_entry_as_it_was_written_back(pair: Pair) -> None:
    pair.mine["a"] = [1]
    pair.mine["a"].append(2)
    with pytest.raises(LookupError), pair.mine.edit("a") as value:
        value.append(3)
        raise LookupError
    assert pair.theirs["a"] == [1, 2]
    pair.mine.sync()
    assert pair.theirs["a"] == [1, 2]


def test_value_read_inside_a_transaction_does_not_hide_what_it_commits(pair: Pair) -> None:
    pair.mine["a"], pair.mine["n"] = [1], 1
    with pair.mine.transaction() as t:
        assert pair.mine["n"] == 1
        with pytest.raises(coshelf.TransactionInProgress, match="does not write back"):
            pair.mine["a"]
        t["a"] = [2]
    assert pair.mine["a"] == [2]


def test_values_of_snapshots_and_transactions_are_copies(pair: Pair) -> None:
    pair.mine["a"] = [1]
    with pair.mine.snapshot() as snapshot:
        snapshot["a"].append(2)
        assert snapshot["a"] == [1]
    with pair.mine.transaction() as t:
        t["a"].append(2)
        assert t["a"] == [1]
    pair.mine.sync()
    assert pair.theirs["a"] == [1]


@pytest.mark.parametrize("end", ["close", "sync"])
def test_read_only_shelf_writes_nothing_back(end: str, tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        shelf["a"] = [1]
    shelf = coshelf.open(tmp_path / "my.shelf", "r", writeback=True)
    shelf["a"].append(2)
    assert shelf["a"] == [1, 2]
    with pytest.raises(coshelf.ReadOnlyShelf):
        shelf["a"] = [3]
    for change in CHANGES.values():
        with pytest.raises(coshelf.ReadOnlyShelf):
            change(shelf)
    getattr(shelf, end)()
    shelf.close()
    with coshelf.open(tmp_path / "my.shelf") as shelf:
        assert dict(shelf) == {"a": [1]}


def test_sync_of_a_read_only_shelf_shows_what_others_wrote(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "my.shelf") as theirs:
        theirs["a"] = [1]
        with coshelf.open(tmp_path / "my.shelf", "r", writeback=True) as mine:
            assert mine["a"] == [1]
            theirs["a"] = ["theirs"]
            mine.sync()
            assert mine["a"] == ["theirs"]
