"""The parent holds a snapshot, an iterator half way, a cursor; the children overwrite everything, many times."""

import os

from talking import path

import coshelf
from coshelf.errors import ShelfClosed

BIG = "x" * 3000
shelf = coshelf.open(path)
shelf.update(dict.fromkeys(range(200), (0, BIG)))
snapshot = shelf.snapshot()
items = iter(shelf.items())
held = iter(snapshot.values())
first = [next(items) for _ in range(20)]
next(held)
cursor = snapshot.cursor()
cursor.first()


def child():
    assert shelf[0][1] == BIG  # it reads
    dict(shelf)
    for _turn in range(1, 15):
        shelf.update({number: (os.getpid(), BIG) for number in range(200)})  # pages are used again and again
    with shelf.transaction() as t:
        t["child", os.getpid()] = shelf.modify is not None
    with shelf.snapshot() as own:
        assert len(own) == len(shelf)
    for use in (
        lambda: snapshot[0],
        lambda: len(snapshot),
        snapshot.copy,
        lambda: next(items),
        lambda: next(held),
        lambda: snapshot.get_many([1]),
        cursor.next,
        lambda: list(snapshot.sub("a")),
        lambda: list(snapshot),
    ):
        try:
            use()
        except ShelfClosed:
            continue
        raise AssertionError("the parent's snapshot works in the child")


def check():
    assert {value for _, value in first} == {(0, BIG)}
    rest = list(items)
    assert len(rest) == 180 and {value for _, value in rest} == {(0, BIG)}
    assert len(snapshot) == 200 and set(snapshot.values()) == {(0, BIG)}
    assert set(held) == {(0, BIG)}
    assert cursor.next() == (1, (0, BIG))
    assert shelf[0] != (0, BIG)
    snapshot.close()
    shelf["parent"] = "still writes"
    shelf.close()
