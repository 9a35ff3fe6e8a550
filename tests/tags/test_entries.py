"""Tags of entries: what sets them, what keeps and removes them, which keys they find, and what they delete."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

import coshelf
from coshelf.contract import Batch
from coshelf.mapping import expiring
from coshelf.testing.moving_clock import MovingClock
from coshelf.values.expiry import MARK
from coshelf.values.tags import INDEX, encoded_tag, row_key, row_parts

Shelf = coshelf.Shelf[Any, Any]


def rows(shelf: Shelf) -> list[tuple[str, bytes]]:
    """The index of tags: each tag and the encoded key of an entry."""
    found = [row_parts(row) for row, _ in shelf._handle.engine.scan(*INDEX, keys_only=True)]
    return [(tag[1:].decode(), key) for tag, key in found]


def tags(shelf: Shelf, key: Any) -> tuple[str, ...]:
    return shelf.record(key).tags


# --- setting and finding ---------------------------------------------------------------------------------------------


def test_tags_find_the_keys_of_their_entries_in_order(shelf: Shelf) -> None:
    shelf.set("b", 1, tags=("x", "y"))
    shelf.set("a", 2, tags=("x",))
    shelf.set(("t", 1), 3, tags=["y"])
    shelf.set(7, [4], expire=60, tags={"x"})
    shelf["plain"] = 5
    assert list(shelf.tagged("x")) == [7, "a", "b"]
    assert list(reversed(shelf.tagged("x"))) == ["b", "a", 7]
    assert list(shelf.tagged("y")) == ["b", ("t", 1)]
    assert list(shelf.tagged("z")) == []
    assert (shelf[7], shelf.expires("b")) == ([4], None)
    assert shelf.expires(7) is not None


def test_add_and_update_take_tags(shelf: Shelf) -> None:
    assert shelf.add("a", 1, tags=(tag for tag in ["x"]))
    assert not shelf.add("a", 2, tags=("y",))
    shelf.update({"b": 1, "c": 2}, expire=60, tags=("x", "y"))
    shelf.update([("d", 1)], tags=("y",))
    assert list(shelf.tagged("x")) == ["a", "b", "c"]
    assert list(shelf.tagged("y")) == ["b", "c", "d"]
    shelf.update({}, tags=("z",))
    assert not shelf.tagged("z")


def test_view_has_the_operations_of_a_set(shelf: Shelf) -> None:
    shelf.update({"a": 1, "b": 2}, tags=("x", "y"))
    shelf.update({"c": 1}, tags=("x",))
    view = shelf.tagged("x")
    assert len(view) == 3
    assert view
    assert view - shelf.tagged("y") == {"c"}
    assert view & {"a", "z"} == {"a"}
    assert "a" in view
    assert "z" not in view
    assert object not in view
    assert repr(view).startswith("<TaggedKeys('x') of ")
    with pytest.raises(TypeError):
        [] in view
    shelf.set("d", 1, tags=("x",))
    del shelf["a"]
    assert list(view) == ["b", "c", "d"]


def test_iteration_is_lazy_and_of_one_instant(shelf: Shelf) -> None:
    shelf.update({number: number for number in range(1_000)}, tags=("x",))
    found = iter(shelf.tagged("x"))
    assert shelf.delete_tagged("x") == 1_000
    assert list(islice(found, 3)) == [0, 1, 2]
    assert list(found) == list(range(3, 1_000))
    assert list(shelf.tagged("x")) == []


@pytest.mark.parametrize("tag", ["x", "user:ann", "\0", "a\0b", "ä" * 127, "z" * 255, "\ud800", "0" * 48])
def test_any_text_of_a_permitted_length_is_a_tag(tag: str, shelf: Shelf) -> None:
    shelf.set("a", 1, tags=(tag, "other"))
    shelf.set("b", 1, tags=(tag + "!" if len(tag) < 100 else "!",))
    assert tags(shelf, "a") == tuple(sorted((tag, "other")))
    assert list(shelf.tagged(tag)) == ["a"]
    assert shelf.delete_tagged(tag) == 1
    assert list(shelf) == ["b"]


def test_tag_within_another_tag_is_not_found(shelf: Shelf) -> None:
    shelf.set("a", 1, tags=("x0\1b",))
    shelf._handle.engine.commit(Batch(puts={row_key(encoded_tag("b"), b"\x30a"): MARK}))
    assert list(shelf.tagged("b")) == []


def test_tags_are_kept_once_and_a_str_is_one_tag(shelf: Shelf) -> None:
    shelf.set("a", 1, tags=["y", "x", "y"])
    shelf.set("b", 1, tags="xy")
    assert tags(shelf, "a") == ("x", "y")
    assert tags(shelf, "b") == ("xy",)
    assert list(shelf.tagged("xy")) == ["b"]


@pytest.mark.parametrize("given", [b"x", 1, None, ("x", 1), (b"x",), ("",), "", ("z" * 256,), ["ä" * 128], (None,)])
def test_what_is_no_tag_is_refused(given: Any, shelf: Shelf) -> None:
    shelf["there"] = 1
    for call in (
        lambda: shelf.set("a", 1, tags=given),
        lambda: shelf.add("a", 1, tags=given),
        lambda: shelf.update({"a": 1}, tags=given),
        lambda: shelf.memoize(tags=given),
    ):
        with pytest.raises(coshelf.InvalidTag):
            call()
    assert dict(shelf) == {"there": 1}


def test_limits_are_named(shelf: Shelf) -> None:
    with pytest.raises(coshelf.InvalidTag, match=r"1 to 255 bytes in UTF-8, and 'z.* has 256"):
        shelf.tagged("z" * 256)
    with pytest.raises(coshelf.InvalidTag, match="at most 100 tags, and these are 101"):
        shelf.set("a", 1, tags=map(str, range(101)))
    with pytest.raises(coshelf.InvalidTag, match="a tag is a str, not int"):
        shelf.delete_tagged(1)  # type: ignore[arg-type]
    most = [f"{number:0255}" for number in range(100)]
    shelf.set("a" * 2_000, 1, tags=most)
    assert tags(shelf, "a" * 2_000) == tuple(most)
    assert [list(shelf.tagged(tag)) for tag in most] == [["a" * 2_000]] * 100


# --- what keeps and removes tags -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "store",
    [
        lambda shelf: shelf.__setitem__("a", 2),
        lambda shelf: shelf.set("a", 2),
        lambda shelf: shelf.set("a", 2, expire=60),
        lambda shelf: shelf.update(a=2),
        lambda shelf: shelf.set("a", 2, tags=("other",)),
    ],
)
def test_storing_a_key_anew_removes_its_tags(store: Callable[[Shelf], None], shelf: Shelf) -> None:
    shelf.set("a", 1, tags=("x",))
    store(shelf)
    assert list(shelf.tagged("x")) == []
    assert "a" not in shelf.tagged("x")
    assert shelf.delete_tagged("x") == 0
    assert shelf["a"] == 2
    assert rows(shelf) == [(tag, b"\x30a") for tag in tags(shelf, "a")]


def test_changing_a_value_or_its_time_keeps_its_tags(shelf: Shelf) -> None:
    shelf.set("a", [1], expire=60, tags=("x", "y"))
    shelf.modify("a", lambda value: [*value, 2])
    with shelf.edit("a") as value:
        value.append(3)
    assert shelf.replace("a", [1, 2, 3], [4])
    assert shelf.setdefault("a", []) == [4]
    assert shelf.touch("a", expire=90)
    assert shelf.touch("a", expire=None)
    shelf.set("n", 1, tags=("x",))
    assert (shelf.incr("n"), shelf.incr("n", 2, expire=60)) == (2, 4)
    assert (tags(shelf, "a"), tags(shelf, "n")) == (("x", "y"), ("x",))
    assert (shelf["a"], shelf.expires("a"), shelf["n"]) == ([4], None, 4)
    assert list(shelf.tagged("x")) == ["a", "n"]


def test_new_entries_of_modify_and_incr_have_no_tags(shelf: Shelf) -> None:
    shelf.set("a", 1, tags=("x",))
    del shelf["a"]
    shelf.modify("a", lambda value: value, default=1)
    assert shelf.incr("n") == 1
    assert (tags(shelf, "a"), tags(shelf, "n"), list(shelf.tagged("x"))) == ((), (), [])


@pytest.mark.parametrize(
    "remove",
    [
        lambda shelf: shelf.__delitem__("a"),
        lambda shelf: shelf.pop("a"),
        lambda shelf: shelf.popitem(),
        lambda shelf: shelf.clear(),
        lambda shelf: shelf.delete_tagged("y"),
    ],
)
@pytest.mark.parametrize("value", [1, [1]])
def test_removed_entry_leaves_no_rows(remove: Callable[[Shelf], object], value: Any, shelf: Shelf) -> None:
    shelf.set("a", value, tags=("x", "y"))
    remove(shelf)
    assert (rows(shelf), len(shelf)) == ([], 0)


def test_expired_entry_has_no_tags_any_more(shelf: Shelf, clock: MovingClock) -> None:
    shelf.set("a", 1, expire=60, tags=("x", "y"))
    shelf.set("b", 1, expire=90, tags=("x",))
    clock.pass_by(60)
    assert list(shelf.tagged("x")) == ["b"]
    assert "a" not in shelf.tagged("x")
    assert shelf.delete_tagged("y") == 0
    shelf.set("c", 1, expire=1, tags=("y",))
    clock.pass_by(1)
    assert shelf.expire() <= 1
    assert rows(shelf) == [("x", b"\x30b")]
    assert shelf.delete_tagged("x") == 1


def test_entry_that_is_gone_at_once_has_no_rows(shelf: Shelf) -> None:
    shelf.set("a", 1, tags=("x",))
    shelf.set("a", 1, expire=0, tags=("x",))
    shelf.update({"b": 1}, expire=0, tags=("x",))
    assert (list(shelf.tagged("x")), len(shelf)) == ([], 0)


def test_default_time_goes_with_tags(target: Any, clock: MovingClock) -> None:
    with coshelf.open(target, expire=60) as shelf:
        shelf.set("a", 1, tags=("x",))
        assert shelf.expires("a") == clock.now() / 1_000_000 + 60
        assert list(shelf.tagged("x")) == ["a"]
        clock.pass_by(60)
        assert list(shelf.tagged("x")) == []


# --- deleting --------------------------------------------------------------------------------------------------------


def test_delete_tagged_removes_what_has_the_tag_and_nothing_else(shelf: Shelf) -> None:
    shelf.update({"a": 1, "b": 2}, tags=("x", "y"))
    shelf.update({"c": 1}, expire=60, tags=("x",))
    shelf.update({"d": 1}, tags=("y", "xx"))
    shelf["e"] = 1
    assert shelf.delete_tagged("x") == 3
    assert list(shelf) == ["d", "e"]
    assert rows(shelf) == [("y", b"\x30d"), ("xx", b"\x30d")]
    assert shelf.delete_tagged("x") == 0


def test_more_than_one_step_is_deleted_in_order(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "_TAGGED", 7)
    shelf.update({number: [number] for number in range(50)}, tags=("x",))
    shelf.update({f"n/{number}": number for number in range(50)}, tags=("x",))
    shelf.update(dict.fromkeys(range(0, 50, 2), 0))
    with shelf.snapshot() as snapshot:
        assert shelf.sub("n").delete_tagged("x") == 50
        assert list(shelf.tagged("x")) == list(range(1, 50, 2))
        assert shelf.delete_tagged("x") == 25
        assert len(snapshot.tagged("x")) == 75
        assert len(snapshot) == 100
    assert list(shelf) == list(range(0, 50, 2))
    assert rows(shelf) == []


def test_namespace_finds_and_deletes_its_own_entries_alone(shelf: Shelf) -> None:
    users = shelf.sub("users")
    users.update({"ann": 1, 5: 2, ("x", "y"): 3}, tags=("t",))
    shelf.set("other", 1, tags=("t",))
    shelf.set(("users/", 1, 2), 1, tags=("t",))
    assert list(users.tagged("t")) == [5, "ann", ("x", "y")]
    assert list(shelf.tagged("t")) == ["other", "users/ann", ("users/", 1, 2), ("users/", 5), ("users/", ("x", "y"))]
    assert "ann" in users.tagged("t")
    assert users.sub("none").delete_tagged("t") == 0
    assert users.delete_tagged("t") == 3
    assert list(shelf.tagged("t")) == ["other", ("users/", 1, 2)]


def test_engine_without_tags_says_so(tmp_path: Any) -> None:
    with coshelf.open(f"files:{tmp_path / 'a'}") as shelf:
        for call in (
            lambda: shelf.set("a", 1, tags=("x",)),
            lambda: shelf.tagged("x"),
            lambda: shelf.delete_tagged("x"),
            lambda: shelf.memoize(tags=("x",)),
        ):
            with pytest.raises(coshelf.Unsupported, match="cannot have tags\n  hint: use a file of the lmdb engine"):
                call()
        shelf.set("a", 1, tags=())
    with pytest.raises(coshelf.Unsupported):
        coshelf.open(f"files:{tmp_path / 'a'}", require=("tags",))


def test_read_only_and_closed_shelves_refuse(target: Any) -> None:
    with coshelf.open(target) as shelf:
        if not shelf.capabilities.persistent:
            pytest.skip("it cannot be opened again")
        shelf.set("a", 1, tags=("x",))
    with coshelf.open(target, "r") as shelf:
        assert list(shelf.tagged("x")) == ["a"]
        with pytest.raises(coshelf.ReadOnlyShelf):
            shelf.delete_tagged("x")
        with pytest.raises(coshelf.ReadOnlyShelf):
            shelf.set("b", 1, tags=("x",))
    with pytest.raises(coshelf.ShelfClosed):
        shelf.tagged("x")


def test_emptied_shelf_has_no_tags(target: Any) -> None:
    with coshelf.open(target) as shelf:
        if not shelf.capabilities.persistent:
            pytest.skip("it cannot be opened again")
        shelf.set("a", 1, tags=("x",))
    with coshelf.open(target, "n") as shelf:
        shelf["a"] = 1
        assert (list(shelf.tagged("x")), rows(shelf)) == ([], [])
