"""How the asynchronous face shows itself: as the synchronous one, of which nothing is read that may have to wait."""

from __future__ import annotations

from html import escape
from typing import Any

from coshelf.mapping.glance import Glance

__all__ = ["async_glance", "async_html", "async_repr"]


def async_glance(shown: Any) -> Glance:
    """The glance of what an asynchronous object is made of. The loop cannot wait for what it reads."""
    glance: Glance = shown._glance()
    return glance.as_kind(f"Async{glance.kind}", may_wait=False)


def async_repr(shown: object) -> str:
    """The repr of an object, with the name of its asynchronous class."""
    return f"<Async{repr(shown).removeprefix('<')}"


def async_html(shown: Any, *, at_once: bool) -> str:
    """What a notebook shows of an object. If its reads may have to wait, that is its repr."""
    return str(shown._repr_html_()) if at_once else f"<div>{escape(async_repr(shown)[1:-1])}</div>"
