"""The checker of histories convicts what is wrong, and nothing else."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import operations
import pytest
import timed_operations
from linearizability import PENDING, Operation, explain, find_order

EMPTY: frozenset[tuple[str, int]] = frozenset()


def history(text: str) -> list[Operation]:
    """One process a line: calls with their results, between bars; ``~`` is the end of one that was killed."""
    found = []
    for number, line in enumerate(filter(None, map(str.rstrip, text.splitlines()))):
        for match in re.finditer(r"[|] *([^|~]*?) *([|~])", line):
            call, _, result = match[1].partition("=")
            name, *arguments = (int(word) if word.lstrip("-").isdigit() else word for word in call.split())
            end = match.end() if match[2] == "|" else PENDING
            found.append(Operation(f"p{number}", (name, *arguments), match.start(), end, eval(result or "None")))
    return found


def is_linearizable(text: str, **entries: int) -> bool:
    return find_order(history(text), frozenset(entries.items()), operations.apply) is not None


GOOD = {
    "nothing": "",
    "one after the other": "|set a 1| |get a=1| |delete a=True| |get a=None| |delete a=False|",
    "a write and its reader": """
        |set a 1|
                  |get a=1|
    """,
    "a read beside a write, before it": """
        |set       a       1|
           |get a=None|  |get a=1|
    """,
    "two writes beside each other, seen in one order": """
        | set a 1   |
        | set a 2   |
                      |get a=1| |get a=1|
    """,
    "one winner": """
        |setdefault a 1=1|
        |setdefault a 2=1|
    """,
    "a killed write that took effect": """
        |set a 1~
                  |get a=None| |get a=1|
    """,
    "a killed write that did not": """
        |set a 1~
                  |get a=None| |set a 2| |get a=2|
    """,
    "a snapshot beside two writes, of the instant in between": """
        |set a 1| | set b 2     |
              | snapshot=[1, None, None] | |snapshot=[1, 2, None]|
    """,
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_histories_that_can_be_ordered(text: str) -> None:
    assert is_linearizable(text)


BAD = {
    "a stale read": """
        |set a 1|
                  |get a=None|
    """,
    "a read that goes back": """
        |set       a                   1|
          |get a=1|  |get a=None|
    """,
    "two readers that see two orders": """
        | set a 1 |
        | set a 2 |
                    |get a=1|
                              |get a=2|
    """,
    "a value from nowhere": """
        |set a 1|
          |get a=7|
    """,
    "a lost update": """
        |modify a 1=1|
        |modify a 2=2|
    """,
    "two winners": """
        | replace a 0 1=True |
        | replace a 0 2=True |
    """,
    "a removal seen twice": """
        | pop a=0 |
        | pop a=0 |
    """,
    "a commit that is done twice": """
        |set a 1| |set a 2|
                            |get a=2| |get a=1|
    """,
    "a killed write that comes and goes": """
        |set a 1~
                  |get a=1| |get a=0|
    """,
    "a killed write that took effect before it was called": """
                              |set a 1~
                  |get a=1|
    """,
    "a snapshot that mixes two instants": """
        |set a 1| |set b 2|
        | snapshot=[0, 2, None] |
    """,
    "half a transaction": """
        | exchange a b 30=[0, None] |
        | get a=30 |   | get a=0 |
    """,
    "a write skew: each read what the other wrote, before it did": """
        | exchange a b 31=[0, None] |
        | exchange b a 32=[None, 0] |
    """,
    "two snapshots that see two orders": """
        |   set a 1       |
        |   set b 1       |
        | snapshot=[1, None, None] |
        | snapshot=[0, 1, None]    |
    """,
    "a scan without a row that stays": """
        | set b 1 |
        | items=[['b', 1]] |
    """,
    "a count that is none of the two": """
        | set b 1 |
        | len=3   |
    """,
}  # fmt: skip


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_histories_that_cannot_be_ordered(text: str) -> None:
    assert not is_linearizable(text, a=0)


GOOD_TIMES = {
    "an entry that expires": """
        |set_for a 1 5|            |get a=1|            |get a=None| |len=0|
                       |pass 4|              |pass 1|
    """,
    "a read beside the instant": """
        |set_for a 1 5| | pass 5 |
                        |get a=1| |get a=None|
    """,
    "stored anew before its time": """
        |set_for a 1 5| |set a 2| |pass 5| |get a=2| |expires a=None|
    """,
    "touched before its time": """
        |set_for a 1 5| |touch a 9=True| |pass 5| |get a=1| |expires a=4|
    """,
    "a change that keeps the time": """
        |set_for a 1 5| |modify a 7=38| |pass 5| |touch a 9=False|
    """,
    "a killed touch, that took effect": """
        |set_for a 1 5|              |pass 5| |get a=1|
                        |touch a 9~
    """,
    "a killed touch, that did not": """
        |set_for a 1 5|              |pass 5| |get a=None|
                        |touch a 9~
    """,
    "an add beside the instant, after it": """
        |set_for a 1 5| |   pass 5      | |get a=2|
                        |add_for a 2 5=True|
    """,
}  # fmt: skip
BAD_TIMES = {
    "an entry after its time": """
        |set_for a 1 5| |pass 5| |get a=1|
    """,
    "an entry that is gone too early": """
        |set_for a 1 5| |pass 4| |get a=None|
    """,
    "a count that has what a read has not": """
        |set_for a 1 5| | pass 5 |
                        |get a=None|  |len=1|
    """,
    "one that was stored anew, and removed": """
        |set_for a 1 5| |set a 2| |pass 5| |get a=None|
    """,
    "a time that was lost": """
        |set_for a 1 5| |modify a 7=38| |expires a=None|
    """,
    "a lost touch": """
        |set_for a 1 5| |touch a 9=True| |pass 5| |get a=None|
    """,
    "two that were added at once": """
        |add_for a 1 5=True|
        |add_for a 2 5=True|
    """,
    "a scan that mixes two instants": """
        |update_for a b 3 5| |   pass 5   |
                             | items=[['a', 3]] |
    """,
}  # fmt: skip


def is_linearizable_with_times(text: str) -> bool:
    return find_order(history(text), timed_operations.begin([]), timed_operations.apply) is not None


@pytest.mark.parametrize("text", GOOD_TIMES.values(), ids=GOOD_TIMES)
def test_histories_with_times_that_can_be_ordered(text: str) -> None:
    assert is_linearizable_with_times(text)


@pytest.mark.parametrize("text", BAD_TIMES.values(), ids=BAD_TIMES)
def test_histories_with_times_that_cannot_be_ordered(text: str) -> None:
    assert not is_linearizable_with_times(text)


def test_the_order_that_is_found_is_one() -> None:
    found = find_order(history(GOOD["a read beside a write, before it"]), EMPTY, operations.apply)
    assert found is not None
    assert [(operation.call, operation.result) for operation in found] == [
        (("get", "a"), None), (("set", "a", 1), None), (("get", "a"), 1),
    ]  # fmt: skip


def test_the_explanation_ends_with_the_first_return_that_fits_no_order() -> None:
    told = explain(
        history("""
            |set a 1| |get a=1| |get a=2| |get a=1|
              |pop b=None|  | set  b   1  |
        """),
        EMPTY,
        operations.apply,
    )  # fmt: skip
    *_, last, pending = told.splitlines()
    assert "-> 2  ('get', 'a')" in last
    assert "killed  ('set', 'b', 1)" in pending


def by_trying_all(given: list[Operation], state: Any) -> bool:
    """The definition, word for word: some of the pending ones and all others, in some order, each with its result."""
    ended = [operation for operation in given if operation.returned != PENDING]
    pending = [operation for operation in given if operation.returned == PENDING]
    return any(
        fits(order, state)
        for number in range(len(pending) + 1)
        for some in itertools.combinations(pending, number)
        for order in itertools.permutations([*ended, *some])
    )


def fits(order: tuple[Operation, ...], state: Any) -> bool:
    if any(later.returned < earlier.invoked for earlier, later in itertools.combinations(order, 2)):
        return False
    for operation in order:
        result, state = operations.apply(state, operation.call)
        if operation.returned != PENDING and result != operation.result:
            return False
    return True


@pytest.mark.parametrize("seed", range(8))
def test_the_quick_search_finds_what_trying_all_orders_finds(seed: int) -> None:
    chance = random.Random(seed)
    answers = set()
    for _ in range(60):
        given = []
        for process in range(3):
            clock = 0
            for _ in range(2):
                invoked = clock + chance.randrange(6)
                clock = invoked + 1 + chance.randrange(6)
                call = chance.choice([
                    ("get", "a"), ("set", "a", 1), ("set", "b", 2), ("replace", "a", 1, 2), ("pop", "a"),
                    ("setdefault", "b", 3), ("update", "a", "b", 4), ("get_many",), ("len",),
                ])  # fmt: skip
                entries = {key: chance.randrange(1, 4) for key in chance.sample("ab", chance.randrange(3))}
                result, _ = operations.apply(frozenset(entries.items()), call)
                if chance.random() < 0.15:
                    given.append(Operation(str(process), call, invoked))
                    break
                given.append(Operation(str(process), call, invoked, clock, result))
        answer = find_order(given, EMPTY, operations.apply) is not None
        assert answer == by_trying_all(given, EMPTY), "\n".join(map(str, given))
        answers.add(answer)
    assert answers == {True, False}


@pytest.mark.parametrize("seed", range(5))
def test_a_dict_is_linearizable_and_one_wrong_result_is_not(seed: int) -> None:
    """Histories of many processes, made by choosing the instants first; then one result is changed."""
    chance = random.Random(seed)
    state: Any = EMPTY
    given = []
    for number in range(60):
        call = operations.draw(chance, operations.MANY_KEYS if number != 50 else {"modify": 1}, number, {})
        result, state = operations.apply(state, call)
        given.append(
            Operation("p", call, number * 10 - chance.randrange(30), number * 10 + chance.randrange(30), result)
        )
    assert find_order(given, EMPTY, operations.apply) is not None
    one = given[50]
    given[50] = Operation(one.process, one.call, one.invoked, one.returned, 999_999)
    assert find_order(given, EMPTY, operations.apply) is None
