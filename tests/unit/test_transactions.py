"""Transactions, edits, and waiting for them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from unit_support import ENTRIES, WRITES

import coshelf


class StopHereError(Exception):
    pass


def test_another_handle_of_the_same_thread_is_refused_too(path: Path) -> None:
    with coshelf.open(path) as one, coshelf.open(path) as other:
        one.update(ENTRIES)
        with one.transaction() as t:
            t["a"] = "in transaction"
            for write in WRITES.values():
                with pytest.raises(coshelf.TransactionInProgress):
                    write(other)
            assert other["a"] == "A"
        assert other["a"] == "in transaction"


def test_transaction_that_raises_changes_nothing(shelf: Any) -> None:
    def fail() -> None:
        with shelf.transaction() as t:
            t["a"] = 1
            t["new"] = 1
            del t["b"]
            t.sub("a").clear()
            t.popitem()
            with t.edit("b", default=[]) as value:
                value.append(1)
            raise StopHereError

    with pytest.raises(StopHereError):
        fail()
    assert shelf == ENTRIES
    with pytest.raises(StopHereError):
        shelf.transact(lambda t: t.clear() or (_ for _ in ()).throw(StopHereError))
    assert shelf == ENTRIES
    shelf["a"] = "goes on"


def test_transaction_ends_with_its_block(shelf: Any) -> None:
    with shelf.transaction() as t:
        users = t.sub("users")
        keys = t.keys()
    for use in (lambda: t["a"], lambda: t.update(a=1), lambda: users.get("a"), lambda: list(keys), lambda: len(t)):
        with pytest.raises(coshelf.ShelfClosed, match="ended"):
            use()
    with pytest.raises(StopHereError), shelf.transaction() as t:
        raise StopHereError
    with pytest.raises(coshelf.ShelfClosed):
        t["a"] = 1


def test_edit_that_raises_leaves_the_entry(shelf: Any) -> None:
    with pytest.raises(StopHereError), shelf.edit("b") as value:
        value["x"] = 2
        raise StopHereError
    with pytest.raises(StopHereError), shelf.edit("new", default=[]) as value:
        value.append(1)
        raise StopHereError
    assert shelf == ENTRIES


def test_edit_needs_a_value_that_can_be_changed_in_place(shelf: Any) -> None:
    for key in ("a", None, 10):
        with pytest.raises(TypeError, match="modify"), shelf.edit(key):
            raise AssertionError("the block must not run")
    with pytest.raises(KeyError), shelf.edit("missing"):
        raise AssertionError("the block must not run")
    with pytest.raises(TypeError, match="modify"), shelf.edit("missing", default=0):
        raise AssertionError("the block must not run")
    assert shelf == ENTRIES


def test_modify_that_raises_leaves_the_entry(shelf: Any) -> None:
    def fail(value: Any) -> Any:
        raise StopHereError

    with pytest.raises(StopHereError):
        shelf.modify("a", fail)
    with pytest.raises(KeyError):
        shelf.modify("missing", str)
    assert shelf == ENTRIES
    assert shelf.modify("missing", lambda old: old + 1, default=0) == 1
    assert shelf.modify("missing", lambda old: old + 1, 0) == 2


@pytest.mark.parametrize("old", [[1], {"a": 1}, {1}, ([1],)], ids=repr)
def test_modify_does_not_store_what_a_method_that_changes_in_place_returns(old: Any, shelf: Any) -> None:
    shelf["a"] = old
    with pytest.raises(TypeError, match=r"returned None.*\n.*edit"):
        shelf.modify("a", lambda _: None)
    assert shelf["a"] == old
    with shelf.transaction() as transaction, pytest.raises(TypeError, match="returned None"):
        transaction.modify("a", lambda _: None)
    assert shelf["a"] == old
    assert shelf.modify("a", lambda _: None, allow_none=True) is None
    assert shelf["a"] is None


def test_modify_stores_none_over_what_cannot_be_changed_in_place(shelf: Any) -> None:
    shelf["a"] = 1
    assert shelf.modify("a", lambda _: None) is None
    assert shelf["a"] is None
    with pytest.raises(TypeError, match="returned None"):
        shelf.modify("log", lambda log: log.append(1), default=[])
    assert "log" not in shelf


def test_replace_compares_and_sets(shelf: Any) -> None:
    assert shelf.replace("b", {"x": 1}, {"x": 2})
    assert not shelf.replace("b", {"x": 1}, {"x": 3})
    assert not shelf.replace("missing", None, 1)
    assert shelf["b"] == {"x": 2}
    assert "missing" not in shelf


def test_waiting_for_a_transaction_is_bounded_and_names_the_holder(shelf: Any) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with shelf.transaction() as t:
            t["a"] = "held"
            entered.set()
            leave.wait(300)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert entered.wait(300)
        for timeout in (0, 0.01):
            with pytest.raises(coshelf.ShelfLocked, match="another thread") as caught, shelf.transaction(timeout):
                raise AssertionError("the block must not run")
            assert isinstance(caught.value, TimeoutError)
            assert caught.value.since is not None
            assert shelf.name in str(caught.value)
        assert shelf["a"] == "A"
    finally:
        leave.set()
        holder.join()
    assert shelf["a"] == "held"


def test_timeout_of_the_shelf_bounds_every_write(path: Path) -> None:
    with coshelf.open(path) as other:
        other.update(ENTRIES)
        entered, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with other.transaction():
                entered.set()
                leave.wait(300)

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert entered.wait(300)
            with coshelf.open(path, timeout=0.01) as shelf:
                for write in WRITES.values():
                    with pytest.raises(coshelf.ShelfLocked):
                        write(shelf)
                assert shelf == ENTRIES
        finally:
            leave.set()
            holder.join()


def test_transact_repeats_after_a_conflict_up_to_its_attempts(empty: Any) -> None:
    tries = 0

    def conflict(transaction: Any) -> None:
        nonlocal tries
        tries += 1
        transaction["a"] = tries
        raise coshelf.Conflict("somebody was faster")

    with pytest.raises(coshelf.Conflict):
        empty.transact(conflict, attempts=3)
    assert tries == 3
    assert not empty

    def succeed(transaction: Any) -> int:
        nonlocal tries
        tries += 1
        if tries < 6:
            raise coshelf.Conflict("somebody was faster")
        transaction["a"] = tries
        return tries

    assert empty.transact(succeed) == 6
    assert empty == {"a": 6}
    with pytest.raises(ValueError, match="attempts"):
        empty.transact(succeed, attempts=0)


def test_wait_is_bounded(shelf: Any) -> None:
    assert shelf.wait("a") == "A"
    assert shelf.wait("a", timeout=0) == "A"
    for timeout in (0, 0.01, -1):
        with pytest.raises(coshelf.WaitTimeout, match="'missing'") as caught:
            shelf.wait("missing", timeout=timeout)
        assert isinstance(caught.value, TimeoutError)
        assert shelf.name in str(caught.value)


def test_closing_inside_a_transaction_is_a_clear_error(shelf: Any) -> None:
    """Nothing is stored then, or all of it; and what is raised is an error of our tree."""
    name = shelf.name
    try:
        with shelf.transaction() as t:
            t["a"] = "new"
            shelf.close()
    except coshelf.CoshelfError:
        pass
    if os.path.exists(name):
        with coshelf.open(name) as again:
            assert again["a"] in ("A", "new")
            again["later"] = 1


def test_an_update_that_fails_half_way_leaves_what_came_before_to_the_transaction(empty: Any) -> None:
    with empty.transaction() as transaction:
        with pytest.raises(coshelf.UnwritableValue):
            transaction.update({"a": 1, "b": 2, "bad": lambda: 0, "c": 3})
        assert dict(transaction) == {"a": 1, "b": 2}
    assert dict(empty) == {"a": 1, "b": 2}


def test_the_source_of_an_update_reads_what_the_update_has_written(empty: Any) -> None:
    with empty.transaction() as transaction:
        transaction["n0"] = 1
        transaction.update((f"n{n + 1}", transaction[f"n{n}"] * 2) for n in range(10))
    assert empty["n10"] == 1024


def test_an_update_cannot_write_an_entry_that_is_being_changed(empty: Any) -> None:
    empty["list"] = []
    with empty.transaction() as transaction, transaction.edit("list") as found:
        with pytest.raises(coshelf.TransactionInProgress):
            transaction.update({"other": 1, "list": [2]})
        found.append(1)
    assert empty["list"] == [1]
