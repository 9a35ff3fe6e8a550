import multiprocessing
import sys

import support
from talking import path

import coshelf

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    shelf = coshelf.open(path)
    snapshot = shelf.snapshot()
    children = [context.Process(target=support.count_up_and_close, args=(shelf, 50)) for _ in range(3)]  # type: ignore[attr-defined]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert dict(snapshot) == {}
    assert dict(shelf) == {"count": 150}
    snapshot.close()
    shelf.close()
