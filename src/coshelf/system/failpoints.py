"""Places at which tests stop, delay or kill a process. Nothing happens unless the environment asks for it.

``COSHELF_FAILPOINTS`` holds steps separated by ``;``, each ``name=action`` or ``name=action@n`` for the n-th time that
the process gets there (the first without a number). Actions: ``kill`` (SIGKILL), ``stop`` (SIGSTOP), ``sleep:SECONDS``,
``error:ERRNO`` (an OSError), ``pause:FILE`` (makes FILE, then waits until it is gone). Code asks
``if ARMED: reach(name)``.
"""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from coshelf.system.processes import signals

__all__ = ["ARMED", "reach"]

_VARIABLE = "COSHELF_FAILPOINTS"
_POLL = 0.001


class _Step(NamedTuple):
    name: str
    action: str
    argument: str
    turn: int


def _parse(text: str) -> list[_Step]:
    steps = []
    for given in filter(None, text.split(";")):
        name, _, what = given.partition("=")
        what, _, turn = what.partition("@")
        action, _, argument = what.partition(":")
        steps.append(_Step(name.strip(), action, argument, int(turn or 1)))
    return steps


_steps = _parse(os.environ.get(_VARIABLE, ""))
_turns: dict[str, int] = {}

ARMED = bool(_steps)


def reach(name: str) -> None:
    """Do what the environment asks for at this place."""
    turn = _turns[name] = _turns.get(name, 0) + 1
    for step in _steps:
        if step.name == name and step.turn == turn:
            _act(step)


def _act(step: _Step) -> None:
    if step.action == "kill":
        signals.die()
    elif step.action == "stop":
        signals.stop()
    elif step.action == "sleep":
        time.sleep(float(step.argument))
    elif step.action == "error":
        raise OSError(int(step.argument), f"failpoint {step.name}: {os.strerror(int(step.argument))}")
    elif step.action == "pause":
        os.close(os.open(step.argument, os.O_CREAT | os.O_WRONLY, 0o600))
        while os.path.exists(step.argument):
            time.sleep(_POLL)
    else:
        raise ValueError(f"{_VARIABLE}: there is no action {step.action!r}")
