import sys

from coshelf import shelve


class Own:
    pass


def leave():
    global kept
    kept = shelve.open(sys.argv[1], writeback=True)  # type: ignore[name-defined]
    kept["a"] = [1]  # type: ignore[name-defined]
    kept["a"].append(Own())  # type: ignore[name-defined]
    dropped = shelve.open(sys.argv[1] + "2", writeback=True)
    dropped["b"] = [1]
    dropped["b"].append(2)


leave()
