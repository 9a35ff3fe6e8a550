"""Real graphs, compiled with a saver, a store and a cache in one shelf: no model, and no network."""

from __future__ import annotations

import asyncio
import multiprocessing
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from support import Crew

import coshelf
from coshelf.contrib.langgraph import CoshelfSaver, CoshelfStore

GRAPH = Path(__file__).parent / "scripts" / "graph.py"


class State(TypedDict):
    words: Annotated[list[str], operator.add]


def asking(saver: CoshelfSaver, store: CoshelfStore | None = None) -> Any:
    def ask(state: State) -> dict[str, Any]:
        return {"words": [interrupt("what?")]}

    return (
        StateGraph(State)
        .add_node("ask", ask)
        .add_edge(START, "ask")
        .add_edge("ask", END)
        .compile(checkpointer=saver, store=store)
    )


def config(thread: str) -> Any:
    return {"configurable": {"thread_id": thread}}


def test_a_process_is_killed_in_a_node_and_another_one_goes_on_from_there(crew: Crew, path: str) -> None:
    killed, other = crew.start(GRAPH, path, "begin"), crew.start(GRAPH, path, "resume")
    for worker in (killed, other):
        worker.expect("ready")
    killed.tell()
    killed.expect("in slow")
    killed.kill()
    other.tell()
    other.expect("in slow")  # the node that was not done is run again, and the one before it is not
    other.tell("resumed")
    other.expect("in cached")
    assert other.finish() == ["begin first resumed cached", "1"]


@pytest.mark.long  # each process imports LangGraph
def test_two_processes_share_a_thread_a_store_and_a_cache(crew: Crew, path: str) -> None:
    workers = [crew.start(GRAPH, path, "begin") for _ in range(2)]
    for worker in workers:
        worker.expect("ready")
    for worker, word, runs in zip(workers, ("one", "two"), (1, 2), strict=True):
        worker.tell()
        worker.expect("in slow")
        worker.tell(word)
        said = worker.finish()
        assert said[-1] == str(runs)
        assert ("in cached" in said) == (word == "one")
    assert said[0] == "begin first one cached begin first two cached"


def test_an_interrupt_is_answered_in_another_process_after_a_fork(tmp_path: Path) -> None:
    with CoshelfSaver(tmp_path / "a.shelf") as saver:
        graph = asking(saver)
        graph.invoke({"words": ["begin"]}, config("t"))
        child = multiprocessing.get_context("fork").Process(
            target=graph.invoke, args=(Command(resume="answer"), config("t"))
        )
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert graph.get_state(config("t")).values == {"words": ["begin", "answer"]}


def test_processes_that_run_one_thread_at_once_all_see_whole_states(tmp_path: Path) -> None:
    with CoshelfSaver(tmp_path / "a.shelf") as saver:
        graph = asking(saver)
        graph.update_state(config("t"), {"words": ["begin"]})
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=say_often, args=(graph, str(number))) for number in range(3)]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
        assert [child.exitcode for child in children] == [0, 0, 0]
        states = [each.values["words"] for each in graph.get_state_history(config("t"))]
        assert len(states) == 1 + 3 * 5
        assert {words[0] for words in states} == {"begin"}
        assert {words[-1] for words in states} == {"begin", "0", "1", "2"}


def say_often(graph: Any, word: str) -> None:
    for _ in range(5):
        where = graph.update_state(config("t"), {"words": [word]})
        assert graph.get_state(where).values["words"][-1] == word


def test_many_tasks_run_graphs_on_one_saver(tmp_path: Path) -> None:
    async def main() -> None:
        async with CoshelfSaver(tmp_path / "a.shelf") as saver:
            graph = asking(saver)

            async def talk(thread: str) -> None:
                await graph.ainvoke({"words": [thread]}, config(thread))
                assert [each.interrupts[0].value for each in (await graph.aget_state(config(thread))).tasks] == [
                    "what?"
                ]
                assert (await graph.ainvoke(Command(resume="yes"), config(thread)))["words"] == [thread, "yes"]

            await asyncio.gather(*(talk(str(number)) for number in range(8)))
            assert len({each.config["configurable"]["thread_id"] async for each in saver.alist(None)}) == 8

    asyncio.run(main())


def test_a_branch_from_an_old_checkpoint_has_values_of_its_own(tmp_path: Path) -> None:
    with coshelf.open(tmp_path / "a.shelf") as shelf:
        graph = asking(CoshelfSaver(shelf))
        graph.invoke({"words": ["begin"]}, config("t"))
        old = graph.get_state(config("t")).config
        branches = [graph.update_state(old, {"words": [word]}) for word in ("left", "right")]
        assert [graph.get_state(each).values["words"] for each in branches] == [["begin", "left"], ["begin", "right"]]
        assert graph.get_state(old).values["words"] == ["begin"]
