"""Sessions of the OpenAI Agents SDK in a shelf."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contrib.llm import AgentsSession

pytestmark = pytest.mark.long  # importing the SDK takes seconds


def said(*words: str) -> list[Any]:
    return [{"role": "user", "content": word} for word in words]


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:"])
def test_items_are_kept_in_order_by_session(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agents.memory import Session

    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with AgentsSession("ann", target, session_settings={"limit": 2}) as session:
            assert isinstance(session, Session)
            other = AgentsSession("ann/b", session.part.whole)
            version = session.part.whole.version
            await session.add_items(said("a", "b", "c"))
            assert session.part.whole.version == version + 1
            await session.add_items([])
            assert session.part.whole.version == version + 1
            await other.add_items(said("x"))
            assert await session.get_items() == said("b", "c")
            assert await session.get_items(-1) == said("a", "b", "c")
            assert await session.get_items(0) == []
            assert await session.get_items(9) == said("a", "b", "c")
            assert await session.pop_item() == said("c")[0]
            await session.add_items(said("d"))
            assert await session.get_items(9) == said("a", "b", "d")
            await session.clear_session()
            assert (await session.get_items(), await session.pop_item()) == ([], None)
            assert await other.get_items() == said("x")
        with pytest.raises(coshelf.ShelfClosed):
            await session.get_items()

    asyncio.run(main())


def test_items_that_many_add_at_once_stay_together(tmp_path: Path) -> None:
    async def main() -> None:
        sessions = [AgentsSession("t", tmp_path / "a.shelf") for _ in range(4)]
        words = [[f"{number} {part}" for part in range(3)] for number in range(4)]
        await asyncio.gather(*(one.add_items(said(*word)) for one, word in zip(sessions, words, strict=True)))
        items: Any = await sessions[0].get_items()
        found = [item["content"] for item in items]
        assert sorted(found[at : at + 3] for at in range(0, 12, 3)) == words
        popped = await asyncio.gather(*(one.pop_item() for one in sessions))
        assert sorted(item["content"] for item in popped if item) == sorted(found[-4:])
        for one in sessions:
            await one.close()

    asyncio.run(main())


def test_a_runner_goes_on_with_a_conversation(tmp_path: Path) -> None:
    from agents import Agent, Runner
    from agents.testing import ScriptedModel
    from openai.types.responses import ResponseOutputMessage, ResponseOutputText

    def answer(text: str) -> Any:
        content = ResponseOutputText(text=text, type="output_text", annotations=[], logprobs=[])
        return ResponseOutputMessage(id=text, type="message", role="assistant", content=[content], status="completed")

    async def ask(question: str, reply: str) -> Any:
        async with AgentsSession("ann", tmp_path / "a.shelf") as session:
            agent = Agent(name="cook", model=ScriptedModel([[answer(reply)]]))
            result = await Runner.run(agent, question, session=session)
            return result.final_output, [item.get("role") for item in await session.get_items()]

    assert asyncio.run(ask("What is a leek?", "An onion.")) == ("An onion.", ["user", "assistant"])
    assert asyncio.run(ask("And a bean?", "A seed.")) == ("A seed.", ["user", "assistant"] * 2)
