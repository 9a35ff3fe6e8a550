"""Computes a result that needs the one that the next process of a circle computes."""

import sys

from talking import hear, path, say

import coshelf

own, count = int(sys.argv[2]), int(sys.argv[3])
computing: list[int] = []

with coshelf.open(path) as shelf:

    @shelf.memoize
    def link(number):
        computing.append(number)
        if len(computing) > 1:  # nobody else will compute it
            return "end"
        say("computing")
        hear()
        return link((number + 1) % count)

    say("returned", link(own))
