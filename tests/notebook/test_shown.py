"""Shelves and what belongs to them show themselves in notebooks, shells and logs, whatever has happened to them."""

from __future__ import annotations

import ast
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import coshelf
import coshelf.aio
from coshelf.engines.memory import MemoryEngine
from coshelf.mapping.handle import Handle

HOSTILE = '</td></table><script>alert(1)</script><img src=x onerror="alert(2)">\x1b[2J\u202e'


class Loud:
    """Fails the test if it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was unpickled",)


@pytest.fixture
def shelf(tmp_path: Path) -> Any:
    with coshelf.open(tmp_path / "recipes.shelf") as shelf:
        shelf.update({f"soups/{number:04}": {"minutes": number} for number in range(1_203)})
        shelf["zest"] = [1, "lemon"]
        yield shelf


def test_shelf_shows_its_first_entries_and_how_many_there_are(shelf: Any, page: Any) -> None:
    found = page(shelf)
    assert found.lines == [f"Shelf {shelf.name!r}: 1,204 entries, lmdb, rw", "… 1,194 more"]
    assert found.rows[0] == ["key", "type", "value", "bytes"]
    assert found.rows[1] == ["'soups/0000'", "dict", "{'minutes': 0}", str(shelf.record("soups/0000").size)]
    assert len(found.rows) == 11
    assert repr(shelf) == f"<Shelf {shelf.name!r}: 1,204 keys, lmdb, rw>"


def test_small_shelf_shows_all(page: Any) -> None:
    with coshelf.open("memory:") as shelf:
        assert (page(shelf).lines, page(shelf).rows) == (["Shelf 'memory:': 0 entries, memory, rw"], [])
        shelf["a"] = 1
        found = page(shelf)
        assert found.lines == ["Shelf 'memory:': 1 entry, memory, rw"]
        assert found.column(0) == ["'a'"]


def test_entries_that_expire_show_how_long_they_stay(page: Any) -> None:
    with coshelf.open("memory:") as shelf:
        shelf.set("a", 1, expire=5_000)
        shelf["b"] = 2
        found = page(shelf)
        assert found.rows[0][-1] == "expires in"
        assert found.rows[1][-1].endswith(" s") and found.rows[2][-1] == ""


def test_part_counts_only_as_far_as_that_is_quick(shelf: Any, page: Any) -> None:
    part = shelf.sub("soups")
    assert page(part).lines == [f"Shelf {shelf.name!r} under 'soups/': over 1,000 entries, lmdb, rw", "… over 990 more"]
    assert page(part).column(0)[0] == "'0000'"
    assert repr(part) == f"<Shelf {shelf.name!r} under 'soups/': over 1,000 keys, lmdb, rw>"
    shelf.sub("salads")["green"] = 1
    assert repr(shelf.sub("salads")) == f"<Shelf {shelf.name!r} under 'salads/': 1 key, lmdb, rw>"


def test_views_show_their_conditions_and_first_members(shelf: Any, page: Any) -> None:
    keys = shelf.keys("soups/*", stop="soups/0003", reverse=True)
    said = f"ShelfKeys('soups/*', stop='soups/0003', reverse=True) of {shelf.name!r}"
    assert repr(keys) == f"<{said}: ['soups/0002', 'soups/0001', 'soups/0000']>"
    assert page(keys).lines == [f"{said}: 3 entries, lmdb, rw"]
    assert page(keys).rows == [["key"], ["'soups/0002'"], ["'soups/0001'"], ["'soups/0000'"]]
    assert repr(shelf.values(prefix="z")) == f"<ShelfValues(prefix='z') of {shelf.name!r}: [[1, 'lemon']]>"
    assert repr(shelf.items("zest")) == f"<ShelfItems('zest') of {shelf.name!r}: ['zest': [1, 'lemon']]>"
    assert repr(shelf.keys()).endswith("'soups/0004', ...]>")
    assert page(shelf.items()).rows[1][:3] == ["'soups/0000'", "dict", "{'minutes': 0}"]


def test_view_of_a_tag_shows_its_keys(shelf: Any, page: Any) -> None:
    shelf.update({f"t{number}": number for number in range(7)}, tags=("<b>",))
    del shelf["t0"]
    tagged = shelf.tagged("<b>")
    said = f"TaggedKeys('<b>') of {shelf.name!r}"
    assert repr(tagged) == f"<{said}: ['t1', 't2', 't3', 't4', 't5', ...]>"
    assert page(tagged).lines == [f"{said}: 6 entries, lmdb, rw"]
    assert page(tagged).column(0) == [f"'t{number}'" for number in range(1, 7)]
    assert repr(shelf.tagged("none")) == f"<TaggedKeys('none') of {shelf.name!r}: []>"


def test_snapshot_shows_its_instant_until_it_is_closed(shelf: Any, page: Any) -> None:
    with shelf.snapshot() as then:
        shelf.clear()
        assert repr(then) == f"<Snapshot of {shelf.name!r}: 1,204 keys, lmdb, read-only>"
        assert len(page(then).rows) == 11
        keys = then.keys()
    assert repr(then) == f"<closed Snapshot of {shelf.name!r}>"
    assert page(then).lines == [f"closed Snapshot of {shelf.name!r}"]
    assert repr(keys).startswith("<closed ShelfKeys")


def test_transaction_shows_its_own_writes_until_it_ends(shelf: Any, page: Any) -> None:
    with shelf.transaction() as t:
        t["apples"] = 1
        del t["zest"]
        assert repr(t).endswith("2 changes to be committed>")
        assert page(t).column(0)[0] == page(shelf).column(0)[0] == "'apples'"
        assert repr(shelf.keys("zest")).endswith(": []>")
    assert repr(t) == f"<ended Transaction of {shelf.name!r}>"
    assert page(t).lines == [f"ended Transaction of {shelf.name!r}"]


@pytest.mark.parametrize("show", [repr, lambda shown: shown._repr_html_()])
def test_to_look_at_a_transaction_adds_nothing_to_its_checks(show: Any) -> None:
    table: dict[bytes, bytes] = {}
    with coshelf.open(table) as shelf:
        shelf.update(a=1, b=2)

        def step(transaction: Any) -> None:
            show(transaction), show(shelf), show(transaction.keys()), show(transaction.cursor())
            transaction["c"] = 3
            assert transaction._state.overlay()._seen == {}

        shelf.transact(step)
        assert shelf["c"] == 3


def test_function_of_modify_may_show_the_shelf(shelf: Any) -> None:
    shelf.modify("zest", lambda value: [*value, repr(shelf)])
    assert shelf["zest"][:2] == [1, "lemon"] and "Shelf" in shelf["zest"][2]


def test_cursor_shows_its_position_and_entry(shelf: Any, page: Any) -> None:
    cursor = shelf.cursor()
    assert repr(cursor) == f"<Cursor before the first move of {shelf.name!r}>"
    assert page(cursor).rows == []
    cursor.seek("soups/0007")
    assert repr(cursor) == f"<Cursor at 'soups/0007' of {shelf.name!r}>"
    assert page(cursor).rows[1][2] == "{'minutes': 7}"
    del shelf["soups/0007"]
    assert page(cursor).rows == []


@pytest.mark.parametrize("name", ["keys", "items", "values", "cursor", "sub", "queue", "deque", "lock", "semaphore"])
def test_closed_shelf_says_so_in_a_line(name: str, shelf: Any, page: Any) -> None:
    arguments = {"sub": ("a",), "semaphore": ("a", 2)}.get(name, ("a",) if name in ("queue", "deque", "lock") else ())
    part = getattr(shelf, name)(*arguments)
    shelf.close()
    assert repr(shelf) == f"<closed Shelf {shelf.name!r}>"
    assert page(shelf).lines == [f"closed Shelf {shelf.name!r}"]
    assert page(part).rows == [] and "closed" in " ".join(page(part).lines)
    assert os.path.basename(shelf.name) in repr(part)


def test_nothing_of_a_hostile_entry_becomes_markup(tmp_path: Path, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType(HOSTILE)
    module.__dict__["<u>"] = type("<u>", (), {"__module__": HOSTILE})
    monkeypatch.setitem(sys.modules, HOSTILE, module)
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({HOSTILE: HOSTILE, (HOSTILE, 1): [HOSTILE], b"<b>": {HOSTILE: b"<i>"}, "loud": Loud()})
        shelf.sub(HOSTILE)["a"] = module.__dict__["<u>"]()
        parts: list[Any] = [
            shelf.sub(HOSTILE),
            shelf.keys(HOSTILE),
            shelf.cursor(),
            shelf.queue(HOSTILE),
            shelf.deque(HOSTILE),
        ]
        parts += [shelf.lock(HOSTILE), shelf.stats(), shelf.info(), shelf.check(), shelf.watch(HOSTILE)]
        parts[2].seek(HOSTILE)
        for shown in (shelf, shelf.items(), *parts):
            texts = [repr(shown), *page(shown).lines, *(cell for row in page(shown).rows for cell in row)]
            for text in texts:
                assert text.isprintable(), text
        # As text: the parser has undone the escapes.
        assert "<script>" in str(page(shelf).column(0)) and "<u>" in str(page(parts[0]).column(1))
        parts[-1].close()


def test_damaged_entry_is_told_among_the_others(tmp_path: Path, page: Any) -> None:
    path = tmp_path / "a.shelf"
    with coshelf.open(path) as shelf:
        shelf.update(a="whole", b="damaged here", c="whole")
    path.write_bytes(path.read_bytes().replace(b"damaged here", b"damaged hare"))
    with coshelf.open(path, "r") as shelf:
        assert page(shelf).column(0) == ["'a'", "'b'", "'c'"]
        assert page(shelf).column(1) == ["str", "damaged", "str"]
        assert "do not match their checksum" in page(shelf).rows[2][2]
        assert "do not match" in repr(shelf.items())


def test_entry_that_cannot_be_read_ends_the_table_with_a_line(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = MemoryEngine.scan

    def broken(self: Any, *args: Any, **options: Any) -> Any:
        for key, entry in scan(self, *args, **options):
            if key.endswith(b"b"):
                raise coshelf.DamagedRecord("the record for key 'b' is damaged\n  hint: salvage", "b")
            yield key, entry

    with coshelf.open("memory:") as shelf:
        shelf.update(a=1, b=2, c=3)
        monkeypatch.setattr(MemoryEngine, "scan", broken)
        assert page(shelf).column(0) == ["'a'"]
        assert page(shelf).lines[-1].startswith("no more entries can be shown: DamagedRecord: the record for key 'b'")
        assert "DamagedRecord" in repr(shelf.keys()) and "memory" in repr(shelf)


@pytest.mark.parametrize("at_once", [True, False])
def test_engine_that_fails_is_told_in_a_line(at_once: bool, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise coshelf.Unavailable("the server\nis gone")

    with coshelf.open("memory:") as shelf:
        engine = shelf._handle.engine
        for method in ("get", "scan", "count", "first_expiry"):
            monkeypatch.setattr(engine, method, fail)
        monkeypatch.setattr(engine, "reads_at_once", at_once)
        for shown in (shelf, shelf.keys(), shelf.sub("a")):
            assert page(shown).rows == []
            assert page(shown).lines[-1] == "no entries can be shown: Unavailable: the server"
            assert "memory" in repr(shown)


@pytest.mark.parametrize("kind", ["sqlite:", "files:"])
def test_engine_that_may_wait_is_read_for_a_notebook_and_not_for_a_repr(kind: str, tmp_path: Path, page: Any) -> None:
    with coshelf.open(f"{kind}{tmp_path / 'a'}") as shelf:
        shelf["a"] = 1
        assert page(shelf).column(0) == ["'a'"]
        assert "1 entry" in page(shelf).lines[0]
        assert repr(shelf) == f"<Shelf {shelf.name!r}: {kind[:-1]}, rw>"
        assert repr(shelf.keys()) == f"<ShelfKeys of {shelf.name!r}>"


def test_a_million_keys_are_not_visited(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    visited = 0
    scan = MemoryEngine.scan

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal visited
        for found in scan(self, *args, **options):
            visited += 1
            yield found

    with coshelf.open("memory:") as shelf:
        shelf.update(dict.fromkeys(range(20_000)))
        monkeypatch.setattr(MemoryEngine, "scan", counted)
        assert "20,000 entries" in page(shelf).lines[0] and "20,000 keys" in repr(shelf)
        assert visited < 100
        for shown in (shelf.keys(start=5), shelf.sub("a"), shelf.items("*")):
            visited = 0
            page(shown), repr(shown)
            assert visited < 6_000


def test_values_are_not_unpickled_nor_locks_taken(shelf: Any, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf["a"] = Loud()
    monkeypatch.setattr(Handle, "refuse_writing", lambda self: pytest.fail("it was written"))
    for shown in (shelf, shelf.items(), shelf.values()):
        assert "_pytest.outcomes" in str(page(shown).rows[1])
        repr(shown)


def test_queues_show_the_states_of_their_items(shelf: Any, page: Any) -> None:
    queue = shelf.queue("jobs", maxsize=5)
    assert page(queue).rows == [["items", "0"], ["maxsize", "5"]]
    queue.put(Loud())
    queue.put(2, delay=100)
    assert page(queue).lines == [f"Queue 'jobs' of {shelf.name!r}"]
    assert page(queue).rows == [["available", "1"], ["delayed", "1"], ["maxsize", "5"]]
    recent = shelf.deque("recent", maxlen=2)
    recent.extend([1, 2, 3])
    assert page(recent).rows == [["items", "2"], ["maxlen", "2"]]
    with shelf.transaction():
        queue.put(3)
        assert page(queue).rows[-1] == ["before the transaction", "yes"]


def test_locks_show_who_has_them(shelf: Any, page: Any) -> None:
    lock = shelf.lock("stove")
    assert repr(lock) == f"<Lock 'stove' of {shelf.name!r}>"
    assert page(lock).lines == [f"Lock 'stove' of {shelf.name!r}", "free"]
    with lock:
        found = page(lock)
        assert found.rows[1][:2] == ["has it", str(os.getpid())]
    assert page(shelf.barrier("table", 2)).lines[-1] == "free"


def test_watch_shows_what_it_tells_of(shelf: Any, page: Any) -> None:
    with shelf.watch("soups/*") as changes:
        assert f"Watch('soups/*') of {shelf.name!r}" in repr(changes)
        assert page(changes).lines == [repr(changes)[1:-1]]
    assert repr(changes).startswith("<closed Watch")


def test_reports_are_tables_and_stay_data(tmp_path: Path, page: Any) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        shelf.update({"users/ann": 1, "users/bob": 2, "n": 3})
        info, stats, report, compaction = shelf.info(), shelf.stats(), shelf.check(), shelf.compact()
    for shown, words in ((info, "lmdb"), (stats, "users/"), (report, "no damage"), (compaction, "bytes now")):
        assert words in str(shown)
        assert any(words in row for row in page(shown).rows)
        assert ast.parse(repr(shown)).body, "the repr is that of a dataclass"
        assert shown.as_dict()
    assert ["2", str(stats.prefixes["users/"][1]), "users/"] in page(stats).rows
    assert str(info).splitlines()[0].split() == ["shelf", str(tmp_path / "a.shelf")]
    for number in range(30):
        report.add("record", f"key {number}<b>", "its bytes do not match their checksum")
    assert page(report).lines == ["… 10 more"] and "… 10 more" in str(report)
    assert ["record", "key 0<b>", "its bytes do not match their checksum"] in page(report).rows


@pytest.mark.anyio
async def test_asynchronous_face_shows_itself_likewise(tmp_path: Path, page: Any) -> None:
    async with coshelf.aio.open(tmp_path / "a.shelf") as shelf:
        await shelf.set("a", 1)
        assert repr(shelf) == f"<AsyncShelf {shelf.name!r}: 1 key, lmdb, rw>"
        assert repr(shelf.keys()) == f"<AsyncShelfKeys of {shelf.name!r}: ['a']>"
        assert repr(shelf.sub("b")) == f"<AsyncShelf {shelf.name!r} under 'b/': 0 keys, lmdb, rw>"
        assert repr(shelf.lock("b")) == f"<AsyncLock 'b' of {shelf.name!r}>"
        assert repr(shelf.queue("b")) == f"<AsyncQueue 'b' of {shelf.name!r}>"
        for shown in (shelf, shelf.items(), shelf.cursor(), shelf.queue("b"), shelf.deque("b"), shelf.lock("b")):
            assert shelf.name in page(shown).lines[0]
        async with shelf.snapshot() as then:
            assert repr(then) == f"<AsyncSnapshot of {shelf.name!r}: 1 key, lmdb, read-only>"
    async with coshelf.aio.open(f"sqlite:{tmp_path / 'b.db'}") as shelf:
        await shelf.set("a", 1)
        assert page(shelf).lines[-1].endswith("entries are not shown, because reading them may wait")
