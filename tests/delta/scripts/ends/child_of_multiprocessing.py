import multiprocessing
import sys

import support
from insides import flush_all, waiting
from talking import path

import coshelf

if __name__ == "__main__":
    shelf = coshelf.open(path, flush_interval=1000)
    shelf["count"] = 0
    flush_all(shelf)
    child = multiprocessing.get_context(sys.argv[2]).Process(target=support.count_up, args=(shelf, 20))  # type: ignore[attr-defined]
    child.start()
    child.join()
    assert child.exitcode == 0
    assert not waiting(shelf)
    assert shelf["count"] == 20
