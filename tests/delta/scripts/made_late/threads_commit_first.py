import threading

from talking import path

import coshelf

for turn in range(20):
    with coshelf.open(path, flush_interval=1000) as shelf:
        together = threading.Barrier(6)

        def write(number):
            together.wait()
            shelf[turn, number] = number
            shelf.modify("count", lambda value: value + 1, default=0)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert shelf["count"] == 6 * (turn + 1)
with coshelf.open(path) as shelf:
    assert len(shelf) == 121
