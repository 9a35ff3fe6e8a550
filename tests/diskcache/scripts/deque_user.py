"""Append to a deque and take from it, and tell what was done. Without rounds it goes on until it is killed."""

import itertools
import sys

from talking import hear, path, say

from coshelf.diskcache import Deque

rounds, name = int(sys.argv[2]), int(sys.argv[3])
deque = Deque(directory=path)
say("ready")
hear()
for number in itertools.count() if rounds == 0 else range(rounds):
    deque.append((name, number, b"x" * (40_000 if number % 7 == 0 else 1)))
    say("put", name, number)
    if number % 3:
        try:
            taken = deque.popleft()
        except IndexError:
            continue
        say("got", taken[0], taken[1])
say("done")
