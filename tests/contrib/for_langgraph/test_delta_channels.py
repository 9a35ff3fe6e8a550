"""Delta channels: their values are made of the writes of ancestors, which must not get lost."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import pytest
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import END, START, StateGraph

from coshelf.contrib.langgraph import CoshelfSaver

RUNS = 3


def append(log: list[str], writes: list[list[str]]) -> list[str]:
    return [*log, *(word for write in writes for word in write)]


def counting(saver: CoshelfSaver, frequency: int) -> Any:
    """A graph that counts up to a multiple of 4, and writes a word to its log at each step."""

    log = Annotated[list[str], DeltaChannel(append, snapshot_frequency=frequency)]
    State = TypedDict("State", {"log": log, "number": int})  # noqa: UP013 (a class would have the name of `log` alone)

    def step(state: Any) -> dict[str, Any]:
        return {"log": [f"step {state['number']}"], "number": state["number"] + 1}

    builder = StateGraph(State).add_node("step", step).add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["number"] % 4 else END)
    return builder.compile(checkpointer=saver)


def run(graph: Any, number: int) -> Any:
    config = {"configurable": {"thread_id": "t"}}
    graph.invoke({"log": [f"run {number}"], "number": 0}, config | {"metadata": {"run_id": str(number)}})
    return config


@pytest.mark.parametrize("frequency", [1000, 4])  # never a snapshot; several
def test_a_thread_keeps_its_state_whatever_goes(frequency: int) -> None:
    with CoshelfSaver("memory:") as saver:
        graph = counting(saver, frequency)
        for number in range(RUNS):
            config = run(graph, number)
        state = graph.get_state(config).values
        assert len(state["log"]) == RUNS * 5
        saver.copy_thread("t", "copy")
        saver.delete_for_runs(["0", "1"])
        assert {each.metadata["run_id"] for each in saver.list(config)} == {"2"}
        assert graph.get_state(config).values == state
        saver.prune(["t"])
        assert len(list(saver.list(config))) == 1
        assert graph.get_state(config).values == state
        assert graph.get_state({"configurable": {"thread_id": "copy"}}).values == state
        run(graph, RUNS)
        saver.prune(["t"])
        assert graph.get_state(config).values["log"] == [*state["log"], f"run {RUNS}", *(f"step {n}" for n in range(4))]
        saver.delete_thread("t")
        assert {key[2] if key[0] == "run" else key[1] for key in saver.part.shelf} == {"copy"}


def test_the_last_run_can_be_deleted_and_leaves_no_word() -> None:
    with CoshelfSaver("memory:") as saver:
        graph = counting(saver, 1000)
        config = run(graph, 0)
        state = graph.get_state(config).values
        run(graph, 1)
        saver.delete_for_runs(["1"])
        assert graph.get_state(config).values == state
        run(graph, 2)
        assert "run 1" not in graph.get_state(config).values["log"]
        assert len(graph.get_state(config).values["log"]) == 10


def test_a_pruned_thread_takes_no_more_space_with_each_run() -> None:
    with CoshelfSaver("memory:") as saver:
        graph = counting(saver, 4)
        sizes = []
        for number in range(4):
            run(graph, number)
            saver.prune(["t"])
            sizes.append(len(saver.part.shelf))
        assert max(sizes[1:]) <= sizes[0] + 5
