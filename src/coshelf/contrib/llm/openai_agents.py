"""Sessions of the OpenAI Agents SDK."""

from __future__ import annotations

from itertools import islice
from typing import Any, Self

from agents.items import TResponseInputItem
from agents.memory.session_settings import SessionSettings, coerce_session_settings, resolve_session_limit

from coshelf.contrib.parts import AsyncPart, Part, Target
from coshelf.mapping.shelf import Shelf
from coshelf.mapping.transaction import Transaction

__all__ = ["AgentsSession"]


class AgentsSession:
    """Keeps the history of a conversation in a shelf, for all processes: ``Runner.run(..., session=session)``.

    Each call is one commit: items that are added together are kept together, or not at all. It needs ``coshelf[aio]``.

    Args:
        session_id: the conversation.
        target: a path, a URL, or an open shelf. A program with many sessions opens one shelf for all of them.
        part: the part of the shelf that has the conversations.
        session_settings: the SDK's ``SessionSettings``: ``limit`` is for :meth:`get_items` without one.
        options: further arguments of :func:`coshelf.open`, for a path or URL.

    Raises:
        Unsupported: the engine commits entry by entry, as object stores do.

    >>> import asyncio
    >>> async def main():
    ...     async with AgentsSession("ann", "memory:") as session:
    ...         await session.add_items([{"role": "user", "content": "What is a leek?"}])
    ...         return await session.get_items()
    >>> asyncio.run(main())
    [{'role': 'user', 'content': 'What is a leek?'}]
    """

    def __init__(
        self,
        session_id: str,
        target: Target,
        *,
        part: str = "openai_agents",
        session_settings: SessionSettings | dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = (
            SessionSettings() if session_settings is None else coerce_session_settings(session_settings)
        )
        self.part = Part(target, part, needs=("checks=batch",), **options)
        self._tasks = AsyncPart(self.part)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The items in the order in which they were added.

        Args:
            limit: only so many, the latest. None: that of the settings. Less than 0: all.
        """
        return await self._tasks.read(_latest, self.session_id, resolve_session_limit(limit, self.session_settings))

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items, in one commit."""
        await self._tasks.write(_add, self.session_id, items)

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the latest item and return it; None if there is none."""
        return await self._tasks.write(_pop, self.session_id)

    async def clear_session(self) -> None:
        """Remove all items of this session."""
        await self._tasks.write(_clear, self.session_id)

    async def close(self) -> None:
        """Close the shelf, if the session opened it."""
        await self._tasks.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _latest(shelf: Shelf[Any, Any], session: str, limit: int | None) -> list[TResponseInputItem]:
    stop = None if limit is None or limit < 0 else limit
    return list(islice(shelf.values(prefix=(session,), reverse=True), stop))[::-1]


def _last(transaction: Transaction[Any, Any], session: str) -> int:
    key = next(iter(transaction.keys(prefix=(session,), reverse=True)), None)
    return 0 if key is None else int(key[1])


def _add(shelf: Shelf[Any, Any], session: str, items: list[TResponseInputItem]) -> None:
    def add(transaction: Transaction[Any, Any]) -> None:
        number = _last(transaction, session)
        for item in items:
            number += 1
            while (session, number) in transaction:  # on servers this notices items that others add
                number += 1
            transaction[session, number] = item

    if items:
        shelf.transact(add)


def _pop(shelf: Shelf[Any, Any], session: str) -> TResponseInputItem | None:
    def pop(transaction: Transaction[Any, Any]) -> TResponseInputItem | None:
        number = _last(transaction, session)
        item: TResponseInputItem | None = transaction.pop((session, number), None)
        return item

    return shelf.transact(pop)


def _clear(shelf: Shelf[Any, Any], session: str) -> None:
    def clear(transaction: Transaction[Any, Any]) -> None:
        for key in list(transaction.keys(prefix=(session,))):
            del transaction[key]

    shelf.transact(clear)
