import signal

from talking import path

import coshelf

stored = refused = 0


def handler(*_):
    global stored, refused
    try:
        shelf["handler", turn] = turn
        stored += 1
    except (coshelf.TransactionInProgress, coshelf.ShelfClosed):  # the signal may have come late
        refused += 1


signal.signal(signal.SIGALRM, handler)
for turn in range(150):
    shelf = coshelf.open(path, flush_interval=1000)
    signal.setitimer(signal.ITIMER_REAL, 0.00002 * (turn % 75 + 1))
    shelf["interrupted", turn] = turn
    signal.setitimer(signal.ITIMER_REAL, 0)
    shelf["later", turn] = turn
    shelf.close()
with coshelf.open(path) as shelf:
    assert len(list(shelf.keys(prefix=("interrupted",)))) == len(list(shelf.keys(prefix=("later",)))) == 150
    assert len(list(shelf.keys(prefix=("handler",)))) == stored
