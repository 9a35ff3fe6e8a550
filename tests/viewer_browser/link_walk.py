"""All pages of a viewer, found by following its links."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

from chromium import Tab

__all__ = ["walk"]

_LINKS = """
return [...document.querySelectorAll("a[href]")].filter((link) => !link.hasAttribute("download"))
  .map((link) => (typeof link.href === "string" ? link.href : new URL(link.href.baseVal, document.baseURI).href))
"""


def walk(tab: Tab, most: int, begin: str = "/") -> Iterator[str]:
    """Open the pages that links lead to, breadth first, and give the path of each while it is shown.

    Every link must lead to the viewer.
    """
    waiting, seen = deque([begin]), {begin}
    for _ in range(most):
        if not waiting:
            return
        path = waiting.popleft()
        tab.go(path)
        yield path
        for link in tab.run(_LINKS):
            parts = urlsplit(link)
            assert link.startswith(f"{tab.origin}/"), f"a link on {path} leads to {link[:200]}"
            there = parts.path + (f"?{parts.query}" if parts.query else "")
            if there not in seen:
                seen.add(there)
                waiting.append(there)
