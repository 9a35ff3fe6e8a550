"""Values that cannot be stored, or not be read again: the old value stays, and so does everything else."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import coshelf


@pytest.fixture(params=["lmdb", "memory", "mapping"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """An open shelf on each engine."""
    target: Any = {"lmdb": tmp_path / "my.shelf", "memory": "memory:", "mapping": {}}[request.param]
    with coshelf.open(target, trust=True) as opened:
        opened.update(a="old", b=["kept"])
        yield opened


class Refuses:
    def __reduce__(self) -> Any:
        raise RuntimeError("I stay here")


class Nonsense:
    def __reduce__(self) -> Any:
        return 5


class Failing:
    def __getstate__(self) -> Any:
        raise coshelf.ShelfNotFound("an error of our own tree from a value")


def deep() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


def numbers() -> Iterator[int]:
    yield 1


UNWRITABLE: dict[str, Callable[[], Any]] = {
    "lambda": lambda: lambda: 0,
    "lock": threading.Lock,
    "generator": numbers,
    "module": lambda: sys,
    "raises in __reduce__": Refuses,
    "nonsense from __reduce__": Nonsense,
    "raises our error": Failing,
    "too deep": deep,
    "inside a list": lambda: [1, {"x": threading.Lock()}],
    "local class": type("Local", (), {}),
}

WRITES: dict[str, Callable[[Any, Any], Any]] = {
    "set": lambda shelf, value: shelf.__setitem__("a", value),
    "update": lambda shelf, value: shelf.update({"new": 1, "a": value, "z": 2}),
    "|=": lambda shelf, value: shelf.__ior__([("new", 1), ("a", value)]),
    "modify": lambda shelf, value: shelf.modify("a", lambda _: value),
    "replace": lambda shelf, value: shelf.replace("a", "old", value),
    "transact": lambda shelf, value: shelf.transact(lambda t: t.update(b=1, a=value)),
}


def check_untouched(shelf: Any) -> None:
    assert shelf.copy() == {"a": "old", "b": ["kept"]}
    shelf["later"] = 1
    assert shelf.pop("later") == 1


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_value_that_cannot_be_pickled_leaves_the_old_one(kind: str, shelf: Any) -> None:
    value = UNWRITABLE[kind]()
    for write in WRITES.values():
        with pytest.raises(coshelf.UnwritableValue, match=r"'a'.*cannot be pickled") as caught:
            write(shelf, value)
        assert caught.value.keys == ("a",)
        assert isinstance(caught.value, TypeError)
        assert type(value).__name__ in str(caught.value)
        check_untouched(shelf)


def test_setdefault_of_an_unwritable_value_stores_nothing(shelf: Any) -> None:
    with pytest.raises(coshelf.UnwritableValue, match="'new'"):
        shelf.setdefault("new", threading.Lock())
    assert "new" not in shelf
    assert shelf.setdefault("a", threading.Lock()) == "old"


def test_edit_to_an_unwritable_value_leaves_the_old_one(shelf: Any) -> None:
    with pytest.raises(coshelf.UnwritableValue, match="'b'"), shelf.edit("b") as value:
        value.append(threading.Lock())
    check_untouched(shelf)


def test_transaction_with_an_unwritable_value_stores_nothing(shelf: Any) -> None:
    with pytest.raises(coshelf.UnwritableValue, match="'b'"), shelf.transaction() as t:
        t["a"] = "new"
        t["b"] = threading.Lock()
    check_untouched(shelf)


@pytest.mark.parametrize("at", [0, 1, 500, 999])
def test_update_with_one_bad_value_stores_nothing(at: int, shelf: Any) -> None:
    pairs = [(f"new{n}", threading.Lock() if n == at else n) for n in range(1000)]
    with pytest.raises(coshelf.UnwritableValue, match=f"'new{at}'") as caught:
        shelf.update(pairs)
    assert caught.value.keys == (f"new{at}",)
    check_untouched(shelf)


def test_update_from_what_fails_half_way_stores_nothing(shelf: Any) -> None:
    def pairs() -> Iterator[tuple[str, int]]:
        yield "new", 1
        raise LookupError("half way")

    with pytest.raises(LookupError, match="half way"):
        shelf.update(pairs())
    for wrong in (5, [1], [("a",)], [("a", 1, 2)]):
        with pytest.raises((TypeError, ValueError)):
            shelf.update([("new", 1)], x=1) if wrong is None else shelf.update(wrong)
    check_untouched(shelf)


def test_interrupt_while_pickling_leaves_the_old_value(shelf: Any) -> None:
    class Interrupts:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf["a"] = Interrupts()
    check_untouched(shelf)


def test_error_of_a_huge_key_is_still_our_error(shelf: Any) -> None:
    """repr() of an int of more than 4300 digits is itself an error."""
    with pytest.raises(coshelf.UnwritableValue):
        shelf[10**5000] = threading.Lock()
    assert 10**5000 not in shelf


# --- reading ---------------------------------------------------------------------------------------------------------


class Vain:
    """Can be stored, but not be restored."""

    def __init__(self) -> None:
        self.x = 1

    def __setstate__(self, state: object) -> None:
        raise KeyError("not today")


@pytest.fixture
def gone(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A shelf with an entry whose class no longer exists."""
    module = types.ModuleType("coshelf_test_module_that_goes")
    exec("class Thing:\n    pass", module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    shelf["thing"] = module.Thing()
    assert isinstance(shelf["thing"], module.Thing)
    monkeypatch.delitem(sys.modules, module.__name__)
    return shelf


def edit(shelf: Any) -> None:
    with shelf.edit("thing"):
        raise AssertionError("the block must not run")


READS: dict[str, Callable[[Any], Any]] = {
    "[]": lambda shelf: shelf["thing"],
    "get": lambda shelf: shelf.get("thing", "default"),
    "get_many": lambda shelf: shelf.get_many(["a", "thing"]),
    "copy": lambda shelf: shelf.copy(),
    "items": lambda shelf: list(shelf.items()),
    "pop": lambda shelf: shelf.pop("thing", None),
    "popitem": lambda shelf: shelf.popitem(),
    "setdefault": lambda shelf: shelf.setdefault("thing", 1),
    "modify": lambda shelf: shelf.modify("thing", str, 1),
    "replace": lambda shelf: shelf.replace("thing", 1, 2),
    "edit": edit,
    "wait": lambda shelf: shelf.wait("thing", 0),
}


@pytest.mark.parametrize("read", READS)
def test_value_whose_class_is_gone_is_unreadable_and_stays(read: str, gone: Any) -> None:
    with pytest.raises(coshelf.UnreadableValue, match=r"'thing'.*coshelf_test_module_that_goes") as caught:
        READS[read](gone)
    assert caught.value.key == "thing"
    assert isinstance(caught.value, ValueError)
    assert not isinstance(caught.value, KeyError)
    assert list(gone) == ["a", "b", "thing"]
    assert gone["a"] == "old"
    assert gone.get_many(["a", "b"]) == {"a": "old", "b": ["kept"]}


def test_value_whose_class_is_gone_can_be_overwritten(gone: Any) -> None:
    gone["thing"] = "anew"
    assert gone["thing"] == "anew"


def test_value_whose_class_is_gone_can_be_deleted(gone: Any) -> None:
    del gone["thing"]
    check_untouched(gone)


def test_value_that_fails_in_setstate_is_unreadable(shelf: Any) -> None:
    shelf["vain"] = Vain()
    with pytest.raises(coshelf.UnreadableValue, match=r"'vain'.*not today") as caught:
        shelf["vain"]
    assert caught.value.key == "vain"
    assert not isinstance(caught.value, KeyError)
    assert shelf.get("a") == "old"
    with pytest.raises(coshelf.UnreadableValue):
        shelf.get("vain", "default")
    del shelf["vain"]
    check_untouched(shelf)
