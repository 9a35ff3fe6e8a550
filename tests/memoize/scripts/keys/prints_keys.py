"""Prints the keys of calls with all kinds of arguments, one a line."""

from memo_arguments import ARGUMENTS

import coshelf

shelf = coshelf.open("memory:")


def function(value):
    """What is decorated."""


for typed in (False, True):
    key_of = shelf.memoize(typed=typed)(function).cache_key
    for name, make in ARGUMENTS.items():
        print(typed, name, ascii(key_of(make())[2:]))
