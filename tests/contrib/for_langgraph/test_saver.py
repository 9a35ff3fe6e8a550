"""Checkpoints in a shelf, beside what LangGraph's conformance package asks."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.types import INTERRUPT

import coshelf
from coshelf.contrib.langgraph import CoshelfSaver


def config(thread: str = "t", each: str | None = None, **more: Any) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": each}, **more}


def put(saver: CoshelfSaver, parent: Any, values: dict[str, Any] | None = None, **metadata: Any) -> Any:
    """Store a checkpoint with these values of channels, and return its config."""
    checkpoint = empty_checkpoint()
    versions: dict[str, Any] = {name: saver.get_next_version(None, None) for name in values or {}}
    checkpoint["channel_values"], checkpoint["channel_versions"] = values or {}, versions
    return saver.put(parent, checkpoint, metadata, versions)  # type: ignore[arg-type]


@pytest.fixture
def saver() -> Any:
    with CoshelfSaver("memory:") as opened:
        yield opened


def test_writes_come_in_the_order_of_their_tasks(saver: CoshelfSaver) -> None:
    where = put(saver, config())
    saver.put_writes(where, [("log", "c")], "task 1", "path 2")
    saver.put_writes(where, [("log", "a"), ("log", "b")], "task 2", "path 1")
    assert saver.get_tuple(where).pending_writes == [
        ("task 2", "log", "a"),
        ("task 2", "log", "b"),
        ("task 1", "log", "c"),
    ]


def test_a_task_that_is_repeated_keeps_its_first_writes_and_its_last_interrupt(saver: CoshelfSaver) -> None:
    where = put(saver, config())
    saver.put_writes(where, [("log", "first"), (INTERRUPT, "first")], "task")
    saver.put_writes(where, [("log", "second"), (INTERRUPT, "second")], "task")
    assert sorted(saver.get_tuple(where).pending_writes) == [("task", INTERRUPT, "second"), ("task", "log", "first")]


def test_versions_of_two_branches_differ(saver: CoshelfSaver) -> None:
    current = saver.get_next_version(None, None)
    assert current < saver.get_next_version(current, None) != saver.get_next_version(current, None)
    assert saver.get_next_version(7, None).startswith(f"{8:032d}.")  # type: ignore[arg-type]


def test_all_threads_are_listed_together_the_newest_first(saver: CoshelfSaver) -> None:
    stored = [put(saver, config(thread)) for thread in ("b", "a", "b", "c")]
    assert [each.config for each in saver.list(None)] == stored[::-1]
    assert [each.config for each in saver.list(None, limit=2, before=stored[3])] == [stored[2], stored[1]]
    assert list(saver.list(None, limit=0)) == []


def test_pruning_removes_what_no_checkpoint_uses(saver: CoshelfSaver) -> None:
    first = put(saver, config(), {"kept": 1, "old": 1}, run_id="r")
    saver.put_writes(first, [("old", 2)], "task")
    checkpoint = saver.get_tuple(first).checkpoint
    second = checkpoint | {
        "id": empty_checkpoint()["id"],
        "channel_versions": {"kept": checkpoint["channel_versions"]["kept"]},
    }
    saver.put(first, second, {}, {})  # type: ignore[arg-type]
    saver.prune(["t"])
    assert [key[0] for key in saver.part.shelf] == ["blob", "checkpoint"]
    assert saver.get_tuple(config()).checkpoint["channel_values"] == {"kept": 1}
    saver.delete_thread("t")
    assert len(saver.part.shelf) == 0


def test_a_run_that_is_deleted_takes_its_writes_to_kept_checkpoints_along(saver: CoshelfSaver) -> None:
    first = put(saver, config(), run_id="one")
    saver.put_writes(first | {"metadata": {"run_id": "one"}}, [(INTERRUPT, "ask")], "task")
    saver.put_writes(first | {"metadata": {"run_id": "two"}}, [("log", "answer")], "task")
    put(saver, first, run_id="two")
    saver.delete_for_runs(["two"])
    assert [each.config for each in saver.list(config())] == [first]
    assert saver.get_tuple(config()).pending_writes == [("task", INTERRUPT, "ask")]


def test_a_copy_has_the_runs_of_the_thread(saver: CoshelfSaver) -> None:
    put(saver, config("source"), {"a": 1}, run_id="run")
    saver.copy_thread("source", "target")
    assert saver.get_tuple(config("target")).checkpoint["channel_values"] == {"a": 1}
    saver.delete_for_runs(["run"])
    assert len(saver.part.shelf) == 0


@pytest.mark.parametrize("wrong", [{}, {"configurable": {}}, {"configurable": {"checkpoint_ns": ""}}])
def test_a_config_without_a_thread_is_refused(wrong: Any, saver: CoshelfSaver) -> None:
    for call in (
        lambda: saver.get_tuple(wrong),
        lambda: list(saver.list(wrong)),
        lambda: put(saver, wrong),
        lambda: saver.put_writes(wrong, [("a", 1)], "task"),
    ):
        with pytest.raises(ValueError, match="no thread_id"):
            call()
    assert len(saver.part.shelf) == 0


def test_wrong_use_says_what_is_wrong_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    with CoshelfSaver(path) as saver:
        where = put(saver, config(), {"a": 1})
        with pytest.raises(ValueError, match="'keep_latest' or 'delete', not 'all'"):
            saver.prune(["t"], strategy="all")
        with pytest.raises(TypeError):
            put(saver, where, {"a": object()})
    with pytest.raises(coshelf.ShelfClosed):
        saver.get_tuple(where)
    with CoshelfSaver(path, flag="r") as reader:
        assert reader.get_tuple(config()).checkpoint["channel_values"] == {"a": 1}
        with pytest.raises(coshelf.ReadOnlyShelf):
            put(reader, where)
    with pytest.raises(coshelf.NotAShelf):
        CoshelfSaver(__file__).get_tuple(where)


def test_values_are_loaded_from_a_shelf_that_is_not_trusted(tmp_path: Path) -> None:
    with CoshelfSaver(tmp_path / "a.shelf", trust=False) as saver:
        where = put(saver, config(), {"paths": [Path("/a")]})
        saver.put_writes(where, [("paths", Path("/b"))], "task")
        found = saver.get_tuple(where)
    assert found.checkpoint["channel_values"] == {"paths": [Path("/a")]}
    assert found.pending_writes == [("task", "paths", Path("/b"))]


def test_a_clone_with_another_serializer_uses_the_same_shelf(saver: CoshelfSaver) -> None:
    where = put(saver, config(), {"a": 1})
    assert saver.with_allowlist([("app", "State")]).get_tuple(where) == saver.get_tuple(where)


def test_an_object_store_is_refused_at_once() -> None:
    with coshelf.open({}) as shelf:
        shelf._handle.engine.capabilities = dataclasses.replace(shelf.capabilities, checks="entry")
        with pytest.raises(coshelf.Unsupported, match="checks=batch is required"):
            CoshelfSaver(shelf)


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:", "files:a"])
def test_both_faces_show_the_same(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with CoshelfSaver(target) as saver:
            where = put(saver, config(), {"a": 1}, run_id="run")
            await saver.aput_writes(where, [("a", 2)], "task")
            found = saver.get_tuple(where)
            assert found == await saver.aget_tuple(where)
            assert [found] == [each async for each in saver.alist(None)]
            later = put(saver, where)
            history = await saver.aget_delta_channel_history(config=later, channels=["a"])
            assert history == saver.get_delta_channel_history(config=later, channels=["a"])
            assert history == {"a": {"writes": [("task", "a", 2)], "seed": 1}}
            await saver.acopy_thread("t", "copy")
            await saver.aprune(["t"])
            await saver.adelete_for_runs(["run"])
            assert [each.config async for each in saver.alist(config("copy"))] == [
                config("copy", later["configurable"]["checkpoint_id"])
            ]
            await saver.adelete_thread("copy")
            await saver.adelete_thread("t")
            assert len(saver.part.shelf) == 0

    asyncio.run(main())
