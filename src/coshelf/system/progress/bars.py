"""Bars that change in place: on a terminal by rich, and in a notebook by the display of its kernel."""

from __future__ import annotations

import importlib
from html import escape
from typing import Any, Protocol

from coshelf.screen import plain
from coshelf.system import extras
from coshelf.system.progress.amounts import Amount

__all__ = ["Bar", "NotebookBar", "TerminalBar"]


class Bar(Protocol):
    """A bar that is shown from its first amount on."""

    def show(self, amount: Amount) -> None:
        """Show an amount."""
        ...

    def end(self, amount: Amount, *, is_whole: bool) -> None:
        """Remove it, or leave what was done."""
        ...


class TerminalBar:
    """A line on standard error. It disappears at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._rich = extras.imported("rich.progress", "cli", "progress=True on a terminal")
        self._bar: Any = None

    def show(self, amount: Amount) -> None:
        state = {"completed": amount.done, "total": amount.total, "counted": amount.counted(), "left": amount.left()}
        if self._bar is None:
            self._begin(state)
        else:
            self._bar.update(self._bar.task_ids[0], **state, refresh=True)

    def _begin(self, state: dict[str, Any]) -> None:
        from rich.console import Console
        from rich.markup import escape as as_it_is

        rich = self._rich
        columns = (
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TextColumn("{task.fields[counted]}"),
            rich.TextColumn("{task.fields[left]}"),
        )
        # No thread that draws, which forks and signals would meet; and output of the program stays where it goes.
        self._bar = rich.Progress(
            *columns,
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bar.add_task(as_it_is(plain(self._what)), **state)
        self._bar.start()

    def end(self, amount: Amount, *, is_whole: bool) -> None:
        if self._bar is not None:
            self._bar.stop()


class NotebookBar:
    """An output of the cell that runs. At the end it tells what was done."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._handle: Any = None

    def show(self, amount: Amount) -> None:
        self._put(_Shown(self._what, amount, amount.left()))

    def _put(self, shown: _Shown) -> None:
        if self._handle is None:
            display: Any = importlib.import_module("IPython.display").display  # it has no types
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def end(self, amount: Amount, *, is_whole: bool) -> None:
        if self._handle is not None:
            took = f"in {amount.seconds:,.1f} s" if is_whole else f"stopped after {amount.seconds:,.1f} s"
            self._put(_Shown(self._what, amount, took, has_ended=True))


class _Shown:
    """One state of the bar, as text and as HTML."""

    def __init__(self, what: str, amount: Amount, time: str, *, has_ended: bool = False) -> None:
        self._text = plain(f"{what}: {amount.counted()}, {time}")
        self._part = amount.part
        self._has_ended = has_ended

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        value = "" if self._part is None else f' value="{self._part:.3f}"'
        bar = "" if self._has_ended else f'<progress max="1"{value} style="width:16em"></progress> '
        return f"<div>{bar}{escape(self._text)}</div>"
