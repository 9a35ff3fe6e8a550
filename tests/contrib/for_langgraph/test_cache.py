"""The results of nodes in a shelf."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import coshelf
from coshelf.contrib.langgraph import CoshelfCache

NODE, INNER = ("node",), ("node", "inner")


@pytest.mark.parametrize("target", ["a.shelf", "sqlite:a.sqlite", "memory:"])
def test_both_faces_keep_results_by_namespace_and_key(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def main() -> None:
        async with CoshelfCache[Any](target) as cache:
            cache.set({(NODE, "a"): (1, None), (INNER, "a"): ({"x": [2]}, 60), (NODE, "none"): (None, None)})
            await cache.aset({(NODE, "b"): (3, 60)})
            wanted = [(NODE, "a"), (INNER, "a"), (NODE, "b"), (NODE, "none"), (NODE, "missing")]
            found = {(NODE, "a"): 1, (INNER, "a"): {"x": [2]}, (NODE, "b"): 3, (NODE, "none"): None}
            assert cache.get(wanted) == await cache.aget(wanted) == found
            cache.clear([NODE])
            assert cache.get(wanted) == {(INNER, "a"): {"x": [2]}}
            await cache.aclear()
            assert cache.get(wanted) == cache.get([]) == {}
            cache.set({})

    asyncio.run(main())


def test_wrong_use_is_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    with CoshelfCache[Any](tmp_path / "a.shelf") as cache:
        cache.set({(NODE, "a"): (1, None)})
        with pytest.raises(coshelf.InvalidExpiry):
            cache.set({(NODE, "b"): (1, None), (NODE, "a"): (2, "soon")})  # type: ignore[dict-item]
        assert cache.get([(NODE, "a"), (NODE, "b")]) == {(NODE, "a"): 1}
    with pytest.raises(coshelf.ShelfClosed):
        cache.get([(NODE, "a")])
    with CoshelfCache[Any](f"files:{tmp_path}/b") as cache, pytest.raises(coshelf.Unsupported, match="expiry"):
        cache.get([(NODE, "a")])
