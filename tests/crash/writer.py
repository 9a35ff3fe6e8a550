"""The program that is traced, cut short, hindered and killed: performs operations and says when each returned.

It speaks by ``sendto``, a call that no store makes: ``begun N``, ``done N ATTEMPT``, ``failed N ERROR``, ``stored N``
if the error says so, what it reads after a failure (``unchanged N``, ``changed N``, ``unread N ERROR``), ``closed``.
What has been said is in the socket even if the program is killed right after.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback

from history import Operation, State, long_run, short_run, states
from stores import STORES, Store

import coshelf

# At an operation: with the handle as it is, the same again, and with a fresh one, twice, as closing the old may raise.
ATTEMPTS = 4


def run_of(which: str) -> list[Operation]:
    """The operations that ``short`` or a seed stands for. ``short:3`` leaves out the first 3, ``short-2,5`` these."""
    name, separator, numbers = which.partition(":") if ":" in which else which.partition("-")
    operations = short_run() if name == "short" else long_run(int(name))
    if separator == ":":
        return operations[int(numbers) :]
    missing = [int(number) for number in numbers.split(",") if number]
    return [operation for number, operation in enumerate(operations, 1) if number not in missing]


def main() -> None:
    root, store_name, which, number = sys.argv[1:5]
    store = STORES[store_name](root)
    count = int(which.partition(":")[2] or 0)
    state = states(run_of(which.partition(":")[0])[:count])[-1]
    with socket.socket(fileno=int(number)) as speaker:
        for operation in run_of(which):
            count += 1
            if _perform(store, operation, count, state, speaker):
                state = operation.apply(state)
        try:
            store.close()
        except coshelf.CoshelfError as error:
            _say(speaker, f"failed {count} at closing: {type(error).__name__} {error}")
        _say(speaker, "closed")


def _perform(store: Store, operation: Operation, count: int, state: State, speaker: socket.socket) -> bool:
    """Try until it returns; whether it did, or is seen to have happened all the same."""
    happened = False
    _say(speaker, f"begun {count}")
    for attempt in range(ATTEMPTS):
        try:
            if attempt >= 2 and operation.kind not in ("open", "reopen"):
                store.perform(Operation("reopen"))
            store.perform(operation)
            if happened:  # so there may have been nothing left to commit, and to be made durable with that
                store.perform(Operation("sync"))
        except coshelf.CoshelfError as error:
            _say(speaker, f"failed {count} {type(error).__name__} {error}")
            if "has this commit" in str(error):
                _say(speaker, f"stored {count}")
                happened = True
            happened = _look(store, operation, count, state, speaker) or happened
        else:
            _say(speaker, f"done {count} {attempt}")
            return True
    return happened


def _look(store: Store, operation: Operation, count: int, state: State, speaker: socket.socket) -> bool:
    """Say what is read after a failure, and return whether the operation is seen to have happened."""
    if not store.is_open:
        return False
    try:
        found = store.read()
    except coshelf.CoshelfError as error:
        _say(speaker, f"unread {count} {type(error).__name__} {error}")
        return False
    afterwards = operation.apply(state)
    if found == afterwards != state:
        _say(speaker, f"changed {count} whole")
        return True
    _say(speaker, f"unchanged {count}" if found == state else f"changed {count} in parts")
    return False


def _say(speaker: socket.socket, words: str) -> None:
    speaker.send((words.replace("\n", " ") + "\n").encode())


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # nothing of the interpreter's end is part of the test
