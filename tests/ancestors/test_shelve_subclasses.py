"""Programs that derive from ``coshelf.shelve.Shelf``, replace its pickler, or look into its attributes."""

from __future__ import annotations

import io
import pickle
import shelve as original
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf import shelve

SCRIPTS = Path(__file__).parent / "scripts" / "subclasses"


class Zipped(shelve.DbfilenameShelf):
    """As programs write it that zip or encrypt what they store."""

    def __setitem__(self, key: str, value: Any) -> None:
        if self.writeback:
            self.cache[key] = value
        self.dict[key.encode(self.keyencoding)] = zlib.compress(pickle.dumps(value, self._protocol))

    def __getitem__(self, key: str) -> Any:
        try:
            return self.cache[key]
        except KeyError:
            value = pickle.loads(zlib.decompress(self.dict[key.encode(self.keyencoding)]))
            if self.writeback:
                self.cache[key] = value
            return value


@pytest.mark.parametrize("end", ["close", "sync", "del"])
def test_writeback_goes_through_an_overridden_setitem(end: str, path: str) -> None:
    shelf = Zipped(path, writeback=True)
    shelf["a"] = ["secret"]
    shelf["a"].append("more secret")
    if end == "del":
        del shelf
    else:
        getattr(shelf, end)()
    assert b"secret" not in Path(path).read_bytes()
    with Zipped(path) as again:
        assert again["a"] == ["secret", "more secret"]


def methods_called(kind: Any, base: Any) -> list[Any]:
    """What a program's own methods see of all that one does with a shelf."""

    class Own(base):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.calls: list[Any] = []
            super().__init__(*arguments, **options)

        def __setitem__(self, key: str, value: Any) -> None:
            self.calls.append(("set", key, self.writeback))
            super().__setitem__(key, value)

        def __delitem__(self, key: str) -> None:
            self.calls.append(("del", key))
            super().__delitem__(key)

        def sync(self) -> None:
            self.calls.append("sync")
            super().sync()

        def close(self) -> None:
            self.calls.append("close")
            super().close()

    shelf = Own(kind(), writeback=True)
    calls: list[Any] = shelf.calls
    shelf["a"] = [1]
    shelf["b"] = [2]
    shelf.sync()
    shelf["a"].append(2)
    shelf.update(c=3)
    shelf.setdefault("d", 4)
    shelf.pop("b")
    shelf.sync()
    shelf.clear()
    shelf.close()
    del shelf
    return calls


def test_own_methods_are_called_where_the_original_calls_them() -> None:
    assert methods_called(dict, shelve.Shelf) == methods_called(dict, original.Shelf)


def test_subclass_may_set_the_mapping_before_the_base_class_is_initialised() -> None:
    class Early(shelve.Shelf):
        def __init__(self) -> None:
            self.dict: Any = {}
            super().__init__(self.dict)

    shelf = Early()
    shelf["a"] = 1
    assert shelf.dict == {b"a": pickle.dumps(1)}


def test_subclass_may_set_all_attributes_itself() -> None:
    class Own(shelve.Shelf):
        def __init__(self) -> None:
            self.dict: Any = {}
            self._protocol = 2
            self.writeback = True
            self.cache: Any = {}
            self.keyencoding = "utf-8"

    shelf = Own()
    shelf["a"] = [1]
    shelf["a"].append(2)
    shelf.sync()
    assert shelf.dict == {b"a": pickle.dumps([1, 2], 2)}


def test_getitem_that_answers_for_every_key_is_not_asked_by_get() -> None:
    class Counting(shelve.Shelf):
        def __getitem__(self, key: str) -> Any:
            try:
                return super().__getitem__(key)
            except KeyError:
                self[key] = 0
                return 0

    shelf = Counting({})
    assert shelf.get("a", "nothing") == "nothing"
    assert len(shelf) == 0
    assert shelf["a"] == 0


def test_program_may_empty_and_replace_the_cache(path: str) -> None:
    with shelve.open(path, writeback=True) as shelf:
        shelf.update(a=[1], b=[1], c=[1])
        shelf.cache.pop("a").append("dropped")
        shelf.sync()
        assert shelf["a"] == [1]
        shelf.cache["b"] = ["put there"]
        shelf.sync()
        assert shelf["b"] == ["put there"]
        shelf["c"].append("dropped")
        shelf.cache = {}
        assert shelf["c"] == [1]
    with shelve.open(path) as shelf:
        assert dict(shelf) == {"a": [1], "b": ["put there"], "c": [1]}


def test_memory_of_a_cache_that_the_program_empties_is_given_back() -> None:
    shelf = shelve.Shelf({}, writeback=True)
    for number in range(1000):
        shelf[f"{number}"] = [number]
        shelf.cache.clear()
    assert len(shelf._kept._marks) < 20


# --- the pickler -----------------------------------------------------------------------------------------------------


class ByName:
    """Refuses pickle; the program's own pickler knows what to do."""

    def __reduce__(self) -> Any:
        raise TypeError("not by pickle")


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return "by name" if isinstance(value, ByName) else None


class Unpickler(pickle.Unpickler):
    def persistent_load(self, _: Any) -> Any:
        return ByName()


def test_picklers_that_a_program_sets_are_used(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelve, "Pickler", Pickler)
    monkeypatch.setattr(shelve, "Unpickler", Unpickler)
    with shelve.open(path, writeback=True) as shelf:
        shelf["a"] = [ByName()]
        shelf["a"].append(ByName())
    with shelve.open(path) as shelf:
        assert [type(value) for value in shelf["a"]] == [ByName, ByName]
        assert len(shelf.first()[1]) == 2


def test_unpickler_that_finds_renamed_modules_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Renaming(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return super().find_class(module.replace("old_name", "collections"), name)

    shelf = shelve.Shelf({b"k": b"cold_name\nOrderedDict\n)R."})
    with pytest.raises(ModuleNotFoundError):
        shelf["k"]
    monkeypatch.setattr(shelve, "Unpickler", Renaming)
    assert shelf["k"] == {}


def test_names_that_programs_take_from_the_module_are_there() -> None:
    assert (shelve.Pickler, shelve.Unpickler, shelve.BytesIO) == (pickle.Pickler, pickle.Unpickler, io.BytesIO)
    assert original.DEFAULT_PROTOCOL == shelve.DEFAULT_PROTOCOL  # type: ignore[attr-defined]
    assert repr(shelve._ClosedDict()) == "<Closed Dictionary>"


# --- mappings of other makers ----------------------------------------------------------------------------------------


class OldDbm:
    """What ``dbm.gnu`` and ``dbm.ndbm`` objects can do before Python 3.13."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        return self.entries[key]

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.entries[key] = value

    def __delitem__(self, key: bytes) -> None:
        del self.entries[key]

    def __contains__(self, key: object) -> bool:
        return key in self.entries

    def __len__(self) -> int:
        return len(self.entries)

    def keys(self) -> list[bytes]:
        return list(self.entries)


@pytest.mark.parametrize("writeback", [False, True])
def test_clear_works_over_a_mapping_that_has_no_clear(writeback: bool) -> None:
    shelf = shelve.Shelf(OldDbm(), writeback=writeback)
    shelf.update(a=1, b=[2])
    shelf.dict[b"c"] = b"cannot be unpickled"
    shelf.clear()
    assert len(shelf) == 0
    shelf.close()


@pytest.mark.parametrize("kind", ["gnu", "ndbm", "dumb"])
def test_old_shelf_of_each_module_can_be_emptied(kind: str, path: str) -> None:
    module = pytest.importorskip(f"dbm.{kind}")
    with original.Shelf(module.open(path, "c")) as shelf:
        shelf.update(a=1, b=[2])
    with shelve.open(path) as ours:
        ours.clear()
        assert len(ours) == 0
    with shelve.open(path) as ours:
        assert dict(ours) == {}


def test_clear_goes_through_an_overridden_delitem() -> None:
    removed = []

    class Indexed(shelve.Shelf):
        def __delitem__(self, key: str) -> None:
            removed.append(key)
            super().__delitem__(key)

    shelf = Indexed({})
    shelf.update(a=1, b=2)
    shelf.clear()
    assert sorted(removed) == ["a", "b"]
    assert len(shelf) == 0


# --- values whose class is gone --------------------------------------------------------------------------------------

GONE = b"cno_such_module\nThing\n)R."


def test_nothing_that_removes_or_overwrites_decodes_and_pop_gives_up_only_what_it_can_decode(path: str) -> None:
    with shelve.open(path) as shelf:
        for key in "abcd":
            shelf.dict[key.encode()] = GONE
        with pytest.raises(ModuleNotFoundError):
            shelf.pop("a")
        with pytest.raises(ModuleNotFoundError):
            shelf.pop("a", None)
        with pytest.raises(ModuleNotFoundError):
            shelf.popitem()
        assert sorted(shelf) == ["a", "b", "c", "d"]
        del shelf["a"]
        shelf["b"] = 1
        shelf.update(c=2)
        assert sorted(shelf) == ["b", "c", "d"]
        shelf.clear()
        assert len(shelf) == 0


def test_native_shelf_removes_and_overwrites_what_it_cannot_decode(path: str) -> None:
    with shelve.open(path) as shelf:
        for key in "abcd":
            shelf.dict[key.encode()] = GONE
    with coshelf.open(path, trust=True) as native:
        for unsuccessful in (lambda: native.pop("a"), lambda: native.pop("a", None), native.popitem):
            with pytest.raises(coshelf.UnreadableValue):
                unsuccessful()
        assert len(native) == 4
        del native["a"]
        native["b"] = 1
        native.update(c=2)
        assert list(native) == ["b", "c", "d"]
        native.clear()
        assert len(native) == 0


# --- the end ---------------------------------------------------------------------------------------------------------

AT_EXIT = SCRIPTS / "at_exit.py"


def test_own_sync_writes_back_at_exit_without_a_word(path: str) -> None:
    done = subprocess.run([sys.executable, "-X", "dev", AT_EXIT, path], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sync\n")
    with shelve.open(path) as shelf:
        assert b"Own" in shelf.dict[b"a"]
