"""Writers whose every turn is one commit, and auditors who know from the turns alone what the shelf must hold.

A writer's turns are numbered, and what a turn does follows from its number: money goes from one account to another,
parts add up to a total, a count goes up, rows are written that belong together. So the whole content of the shelf is a
function of the last turns of all writers: ``expected``. A commit that is lost, done twice, torn, or mixed with another
state shows in any reading of the shelf.

After each turn the writer notes it, and the number of its commit, in a log: with one call, after the commit returned.
"""

from __future__ import annotations

import json
import os
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from children import append

import coshelf

__all__ = ["WRITERS", "Auditor", "Writer", "expected", "refuse_equal_versions"]

Key = tuple[Any, ...]

WRITERS = ("ann", "bob", "cy", "dan")
"""Their names, which an auditor knows before they begin."""

_ACCOUNTS = 5
_PARTS = (0, 1, "long" * 200)
# As many different ways to commit as there are, the plain ones more than once. All of them within sixteen turns.
_KINDS = (
    "transfer", "put", "count", "replace", "transfer", "update", "sync", "modify",
    "put", "transfer", "large", "put", "count", "update", "transfer", "put",
)  # fmt: skip
_WHOLE = ("transfer", "update", "large")  # kinds that write the parts
_LARGE = 1_100_000  # bytes: too large for the delta


def _kind(turn: int) -> str:
    return _KINDS[turn % len(_KINDS)]


def _transfer(name: str, turn: int) -> tuple[int, int, int]:
    """The account that gives, the account that takes, and the amount."""
    number = zlib.crc32(f"{name} {turn}".encode())
    giver = number % _ACCOUNTS
    return giver, (giver + 1 + number // 8 % (_ACCOUNTS - 1)) % _ACCOUNTS, number // 64 % 1000


def _parts(name: str, turn: int) -> dict[Key, list[Any]]:
    sizes = [_LARGE if _kind(turn) == "large" else turn % 7 * 300, 10, 100]
    return {("part", name, place): [turn, "x" * size] for place, size in zip(_PARTS, sizes, strict=True)}


class _Books:
    """What the turns of one writer come to, for each number of turns."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._sums: list[Counter[Any]] = [Counter()]
        self._whole = [0]

    def after(self, turn: int) -> tuple[Counter[Any], int]:
        """Sums of what the turns so far added to the entries, and the last turn that wrote the parts."""
        while len(self._sums) <= turn:
            number = len(self._sums)
            sums = self._sums[-1]
            if _kind(number) == "transfer":
                giver, taker, amount = _transfer(self._name, number)
                sums = sums.copy()
                sums.update({("account", taker): amount, ("moved", self._name): amount, "total": amount})
                sums.subtract({("account", giver): amount})
            elif _kind(number) == "count":
                sums = sums.copy()
                sums["count"] += 1
            self._sums.append(sums)
            self._whole.append(number if _kind(number) in _WHOLE else self._whole[-1])
        return self._sums[turn], self._whole[turn]


_books: dict[str, _Books] = {}


def expected(lasts: dict[str, int]) -> dict[Any, Any]:
    """All that the shelf holds after so many turns of each writer."""
    sums: Counter[Any] = Counter()
    entries: dict[Any, Any] = {}
    for name, turn in lasts.items():
        added, whole = _books.setdefault(name, _Books(name)).after(turn)
        sums.update(added)
        entries["last", name] = turn
        if whole:
            entries.update(_parts(name, whole))
    # An account that gave as much as it took has an entry of zero, made by its first transfer.
    return entries | dict(sums)


class Writer:
    """One writer, or what took its place after its death. It goes on where the one before was stopped."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any], path: str, name: str) -> None:
        self._shelf = shelf
        self._name = name
        self._log = os.open(f"{path}.{name}.{os.getpid()}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        with shelf.transaction() as transaction:  # no other process writes now; writes of the dead are there
            self._turn = transaction.setdefault(("last", name), 0)
        append(self._log, json.dumps([name, self._turn, None]))

    def take_turns(self, number: int) -> None:
        for _ in range(number):
            self.take_turn()

    def take_turn(self) -> None:
        self._turn += 1
        self._commit(self._turn)
        append(self._log, json.dumps([self._name, self._turn, _version(self._shelf, self._name)]))

    def _commit(self, turn: int) -> None:
        shelf, name = self._shelf, self._name
        last = ("last", name)
        match _kind(turn):
            case "put":
                shelf[last] = turn
            case "sync":
                shelf[last] = turn
                shelf.sync()
            case "replace":
                assert shelf.replace(last, turn - 1, turn), (turn, shelf[last])
            case "modify":
                found = shelf.modify(last, lambda before: before + 1)
                assert found == turn, (found, turn)
            case "update" | "large":
                shelf.update({last: turn, **_parts(name, turn)})
            case "count":
                with shelf.transaction() as transaction:
                    transaction.modify("count", lambda count: count + 1, default=0)
                    assert transaction[last] == turn - 1
                    transaction[last] = turn
            case "transfer":
                giver, taker, amount = _transfer(name, turn)
                with shelf.transaction() as transaction:
                    for key, more in (
                        (("account", giver), -amount), (("account", taker), amount), (("moved", name), amount),
                        ("total", amount),
                    ):  # fmt: skip
                        transaction[key] = transaction.get(key, 0) + more
                    assert transaction[last] == turn - 1
                    transaction.update({last: turn, **_parts(name, turn)})


def _version(shelf: coshelf.Shelf[Any, Any], name: str) -> int | None:
    entry = shelf._handle.engine.get(shelf._namespace.encode(("last", name)))
    return None if entry is None else entry.version


class Auditor:
    """Reads the shelf in any way there is, and compares it with what the writers' logs say had returned before."""

    def __init__(self, shelf: coshelf.Shelf[Any, Any], path: str, chance: random.Random) -> None:
        self._shelf = shelf
        self._path = path
        self._chance = chance
        self._known: dict[str, int] = {}
        self._log = os.open(f"{path}.audit.{os.getpid()}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def audit(self) -> None:
        before = _returned(self._path)
        way = self._chance.choice(("snapshot", "items", "backwards", "copy", "get_many"))
        entries = self._read(way)
        after = _returned(self._path)
        lasts = {key[1]: value for key, value in entries.items() if key[0] == "last"}
        wanted = expected(lasts)
        different = {key for key in entries.keys() | wanted.keys() if entries.get(key) != wanted.get(key)}
        assert not different, f"{way}: mixed, or torn, or twice: {sorted(map(str, different))} at {lasts}"
        for name, turn in before.items():
            found = lasts.get(name, 0)
            assert found >= turn, f"{way}: turn {turn} of {name} had returned, and {found} is there"
        for name, turn in lasts.items():
            assert turn <= after.get(name, 0) + 1, f"{way}: turn {turn} of {name}, which has made {after.get(name)}"
            assert turn >= self._known.get(name, 0), f"{way}: back from {self._known[name]} to {turn}"
        self._known = lasts
        self._note_versions(lasts)

    def _read(self, way: str) -> dict[Any, Any]:
        shelf = self._shelf
        match way:
            case "items":
                return dict(shelf.items())
            case "backwards":
                return dict(shelf.items(reverse=True))
            case "copy":
                return shelf.copy()
            case "get_many":
                parts = [("part", name, place) for name in WRITERS for place in _PARTS]
                of_writers = [(kind, name) for kind in ("last", "moved") for name in WRITERS]
                accounts = [("account", number) for number in range(_ACCOUNTS)]
                return shelf.get_many([*parts, *of_writers, *accounts, "count", "total"])
        with shelf.snapshot() as snapshot:
            entries = dict(snapshot.items())
            assert len(snapshot) == len(entries)
            assert list(entries) == list(snapshot)
            assert entries == {key: snapshot[key] for key in entries}
            return entries

    def _note_versions(self, names: Iterable[str]) -> None:
        encode = self._shelf._namespace.encode
        with self._shelf._handle.engine.snapshot() as snapshot:
            for name in names:
                entry = snapshot.get(encode(("last", name)))
                assert entry is not None
                turn = self._shelf._codec.load(("last", name), encode(("last", name)), entry.record)
                append(self._log, json.dumps([name, turn, entry.version]))


def _logs(path: str, kind: str = "") -> list[tuple[str, int, int | None]]:
    """The whole lines of the logs: a writer, a turn, the number of its commit if it is known."""
    directory, base = os.path.split(path)
    found = []
    for log in os.listdir(directory):
        if log.startswith(f"{base}.{kind}") and log.endswith(".log") and (kind or not log.startswith(f"{base}.audit")):
            with open(os.path.join(directory, log), encoding="utf-8") as file:
                # All at once: an iteration goes on behind half a line when the rest of it has been written.
                found += [tuple(json.loads(line)) for line in file.read().split("\n")[:-1]]
    return found


def _returned(path: str) -> dict[str, int]:
    """The last turn of each writer that is known to have returned."""
    returned: dict[str, int] = {}
    for name, turn, _ in _logs(path):
        returned[name] = max(turn, returned.get(name, 0))
    return returned


def refuse_equal_versions(path: str) -> int:
    """Every commit has a number of its own, and a writer's later one a greater one. Returns how many are known."""
    numbers: dict[str, dict[int, int]] = defaultdict(dict)
    for name, turn, version in [*_logs(path), *_logs(path, "audit")]:
        if version is not None and turn:
            known = numbers[name].setdefault(turn, version)
            assert known == version, f"turn {turn} of {name} has the numbers {known} and {version}"
    for name, versions in numbers.items():
        in_order = [versions[turn] for turn in sorted(versions)]
        assert in_order == sorted(set(in_order)), f"the numbers of {name} are not in order: {in_order}"
    given = Counter(version for versions in numbers.values() for version in versions.values())
    twice = [version for version, times in given.items() if times > 1]
    assert not twice, f"given out twice: {twice}"
    return len(given)
