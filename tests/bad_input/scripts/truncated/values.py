import sys

import coshelf

path = sys.argv[1]


def value(n):
    return [n, "x" * (n % 300)]


def make(path, entries=600):
    with coshelf.open(path) as shelf:
        shelf.update({n: value(n) for n in range(entries)})
