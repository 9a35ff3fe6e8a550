"""``sub()``: a part of a shelf that is as a shelf."""

from __future__ import annotations

from typing import Any

import pytest
from unit_support import ENTRIES

import coshelf


def test_namespace_takes_every_type_of_key(empty: Any) -> None:
    outside = {**ENTRIES, "users": "not inside", "users0": "behind", ("users",): 1, ("users/",): 2}
    empty.update(outside)
    users = empty.sub("users")
    assert not users
    users.update(ENTRIES)
    assert users == ENTRIES
    assert list(users.items()) == list(ENTRIES.items())
    assert list(reversed(users)) == list(ENTRIES)[::-1]
    assert len(users) == len(users.keys()) == len(ENTRIES)
    assert empty["users/a"] == "A"
    assert empty["users/", 10] == "ten"
    assert empty["users/", (1, "x")] == "pair"
    assert len(empty) == len(outside) + len(ENTRIES)
    for key, value in ENTRIES.items():
        assert key in users
        assert users[key] == value
    users.clear()
    assert empty == outside


def test_longer_tuples_of_the_shelf_are_not_of_the_namespace(empty: Any) -> None:
    empty.update({("users/", 1): "inside", ("users/", 1, 2): "outside", ("users/",): "outside"})
    users = empty.sub("users")
    assert users == {1: "inside"}
    assert len(users) == 1
    assert users.popitem() == (1, "inside")
    users.clear()
    assert len(empty) == 2


def test_nested_namespaces_are_one_path(empty: Any) -> None:
    deep = empty.sub("a").sub("b/c").sub("d/")
    deep["x"] = 1
    deep[5] = 2
    assert empty == {"a/b/c/d/x": 1, ("a/b/c/d/", 5): 2}
    assert empty.sub("a/b/c/d") == deep == {5: 2, "x": 1}
    assert empty.sub("a") == {"b/c/d/x": 1}
    with empty.transaction() as t:
        t.sub("a").sub("b/c/d")["y"] = 3
        assert t.sub("a/b/c/d") == {5: 2, "x": 1, "y": 3}
    with empty.snapshot() as snapshot:
        assert snapshot.sub("a").sub("b/c").sub("d") == {5: 2, "x": 1, "y": 3}


def test_namespaces_that_begin_alike_do_not_mix(empty: Any) -> None:
    for name in ("a", "ab", "a/b", "A"):
        empty.sub(name)["x"] = name
    assert empty.sub("a") == {"b/x": "a/b", "x": "a"}
    assert empty.sub("ab") == {"x": "ab"}
    empty.sub("a").clear()
    assert empty == {"A/x": "A", "ab/x": "ab"}


def test_namespace_has_all_that_a_shelf_has(empty: Any) -> None:
    users = empty.sub("users")
    users["ann"] = [1]
    with users.edit("ann") as value:
        value.append(2)
    assert users.modify("ann", lambda old: [*old, 3]) == [1, 2, 3]
    assert users.replace("ann", [1, 2, 3], "new")
    assert users.setdefault("bob", 5) == 5
    assert users.wait("bob") == 5
    assert users.pop("bob") == 5
    users |= {"carl": 1}
    assert users.transact(list) == ["ann", "carl"]
    assert list(users.keys("c*")) == ["carl"]
    assert empty == {"users/ann": "new", "users/carl": 1}
    with users as same:
        assert same is users
    assert not empty.closed
    assert users["ann"] == "new"
    empty.close()
    assert users.closed
    with pytest.raises(coshelf.ShelfClosed):
        users["ann"]
