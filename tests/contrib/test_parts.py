"""Parts of shelves, as adapters use them."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import threading
from pathlib import Path

import pytest
from fixtures import crew
from support import Crew

import coshelf
from coshelf.contrib.parts import AsyncPart, Part

__all__ = ["crew"]


def test_a_part_opens_nothing_before_it_is_used(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.shelf", "users")
    assert os.listdir(tmp_path) == []
    part.shelf["ann"] = 1
    part.close()
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        assert dict(shelf) == {"users/ann": 1}


def test_a_part_without_a_name_is_the_whole_shelf(tmp_path: Path) -> None:
    with Part(tmp_path / "a.shelf") as part:
        assert part.shelf is part.whole


def test_threads_that_use_a_part_at_once_open_it_once(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.shelf", "users")
    start, found = threading.Barrier(8), []

    def use() -> None:
        start.wait()
        found.append(part.whole)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(whole) for whole in found}) == 1
    part.close()


def test_a_closed_part_says_so_and_closes_twice(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.shelf", "users")
    part.shelf["ann"] = 1
    part.close()
    part.close()
    with pytest.raises(coshelf.ShelfClosed, match="'users'"):
        part.shelf["ann"]


def test_a_shelf_of_the_program_stays_open() -> None:
    with coshelf.open("memory:") as shelf:
        with Part(shelf, "users") as part:
            part.shelf["ann"] = 1
        assert shelf["users/ann"] == 1


def test_an_open_shelf_takes_no_options() -> None:
    with coshelf.open("memory:") as shelf, pytest.raises(TypeError, match="expire"):
        Part(shelf, "users", expire=3)


def test_a_pickled_part_opens_the_same_shelf(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.shelf", "users", durability="commit")
    part.shelf["ann"] = 1
    with pickle.loads(pickle.dumps(part)) as again:
        assert again.shelf["ann"] == 1
        assert again.options == {"durability": "commit"}
    part.close()


def test_a_part_in_memory_is_not_pickled() -> None:
    with Part("memory:", "users") as part, pytest.raises(TypeError, match="'users' of 'memory:' cannot be pickled"):
        pickle.dumps(part)


def test_a_part_shows_no_secrets() -> None:
    part = Part("redis://ann:hidden@db.example/0/app", "users")
    assert "hidden" not in repr(part)
    assert part.where == "redis://db.example/0/app"


def test_a_part_can_be_opened_again_after_it_was_closed(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.shelf", "users", durability="commit")
    part.shelf["ann"] = 1
    part.close()
    with part.again() as again:
        assert again.shelf["ann"] == 1


def test_a_part_that_emptied_its_shelf_does_not_do_so_again(tmp_path: Path) -> None:
    with Part(tmp_path / "a.shelf", "users", flag="n") as part:
        part.shelf["ann"] = 1
        with pickle.loads(pickle.dumps(part)) as pickled, part.again() as again:
            assert pickled.shelf["ann"] == again.shelf["ann"] == 1


def test_parent_and_forked_child_use_one_part(crew: Crew, tmp_path: Path) -> None:
    worker = crew.start(
        """
        from coshelf.contrib.parts import Part
        part = Part(path, "users")
        part.shelf["ann"] = 1
        pid = os.fork()
        if pid == 0:
            part.shelf["bob"] = part.shelf["ann"] + 1
            os._exit(0)
        assert reap(pid) == 0
        say(part.shelf["bob"])
        """,
        tmp_path / "a.shelf",
    )
    assert worker.hear() == "2"
    worker.finish()


def test_parts_are_equal_if_they_have_the_same_entries(tmp_path: Path) -> None:
    path = tmp_path / "a.shelf"
    assert Part(path, "users") == Part(str(path), "users")
    assert hash(Part(path, "users")) == hash(Part(str(path), "users"))
    assert Part(path, "users") != Part(path, "others")
    assert Part("memory:") != Part("memory:")
    assert Part(path) != str(path)
    with coshelf.open("memory:") as one, coshelf.open("memory:") as other:
        assert Part(one) == Part(one)
        assert Part(one) != Part(other)
        assert Part(one) != Part("memory:")


def test_loops_of_two_threads_share_a_part(tmp_path: Path) -> None:
    part = AsyncPart(Part(tmp_path / "a.shelf", "users"))

    async def add(name: str) -> None:
        await (await part.shelf()).set(name, name)

    asyncio.run(add("ann"))
    thread = threading.Thread(target=lambda: asyncio.run(add("bob")))
    thread.start()
    thread.join()
    assert sorted(part.part.shelf) == ["ann", "bob"]
    asyncio.run(part.close())


def test_an_open_shelf_without_a_needed_capability_is_refused_at_once(tmp_path: Path) -> None:
    with coshelf.open(f"files:{tmp_path}/a") as shelf:
        with pytest.raises(coshelf.Unsupported, match="expiry is required"):
            Part(shelf, "users", needs=["expiry"])
        with pytest.raises(coshelf.Unsupported, match="expiry is required"):
            Part(shelf.sub("a"), "users", needs=("expiry",))
        assert Part(shelf, "users", needs=["checks=batch"]).shelf == {}


def test_a_path_without_a_needed_capability_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    part = pickle.loads(pickle.dumps(Part(f"files:{tmp_path}/a", "users", needs=["expiry"])))
    with pytest.raises(coshelf.Unsupported, match="expiry is required"):
        part.shelf["ann"]


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:"])
def test_plain_functions_use_a_part_from_a_task(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        part = AsyncPart(Part(target, "users"))
        await part.write(lambda shelf, name: shelf.update({name: 1, "both": 2}), "ann")
        assert await part.read(dict) == {"ann": 1, "both": 2}
        async with (await part.shelf()).transaction() as transaction:
            await transaction.set("ann", 3)
            assert await part.read(lambda shelf: shelf["ann"]) == 3  # a call of a task takes part in its transaction
        await part.close()

    asyncio.run(main())


def test_a_part_refuses_an_engine_without_what_it_needs(tmp_path: Path) -> None:
    part = Part(f"{tmp_path}/files/", "users", needs=("expiry",))
    with pytest.raises(coshelf.Unsupported, match="the files engine has expiry=False"):
        part.shelf["ann"] = 1
    with coshelf.open(f"{tmp_path}/files/") as shelf:
        with pytest.raises(coshelf.Unsupported, match="the files engine has expiry=False"):
            Part(shelf, "users", needs=("expiry",))
        assert list(shelf) == []
    with pytest.raises(coshelf.Unsupported, match="tags is required"):
        Part("files:" + str(tmp_path), "users", needs=("ordered",), require=("tags",)).shelf["ann"] = 1


def test_a_fork_while_another_thread_opens_a_part_leaves_it_usable(tmp_path: Path) -> None:
    part = Part(tmp_path / "a.shelf", "users")
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with part._opening():
            is_held.set()
            may_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        part.shelf["ann"] = 1
        os._exit(0)
    may_go.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert part.shelf["ann"] == 1
    part.close()
