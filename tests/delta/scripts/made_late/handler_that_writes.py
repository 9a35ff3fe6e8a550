import itertools
import signal

from talking import path

import coshelf

# Numbers of its own: the signal of one turn may come in the next one, or after the shelf was closed.
numbers = itertools.count()
stored, refused = [], []


def handler(*_):
    number = next(numbers)
    try:
        shelf["handler", number] = turn
    except (coshelf.TransactionInProgress, coshelf.ShelfClosed):
        refused.append(number)
    else:
        stored.append(number)


signal.signal(signal.SIGALRM, handler)
for turn in range(150):
    shelf = coshelf.open(path, flush_interval=1000)
    signal.setitimer(signal.ITIMER_REAL, 0.00002 * (turn % 75 + 1))
    shelf["interrupted", turn] = turn
    signal.setitimer(signal.ITIMER_REAL, 0)
    shelf["later", turn] = turn
    shelf.close()
signal.signal(signal.SIGALRM, signal.SIG_IGN)
with coshelf.open(path) as shelf:
    assert len(list(shelf.keys(prefix=("interrupted",)))) == len(list(shelf.keys(prefix=("later",)))) == 150
    assert [key[1] for key in shelf.keys(prefix=("handler",))] == sorted(stored)
