import atexit
import logging
import sys

logging.getLogger("coshelf").setLevel(logging.ERROR)


def last_word():
    with coshelf.open(sys.argv[1], timeout=100) as shelf:
        shelf.update({"opened": 1, "together": 1})


atexit.register(last_word)
import coshelf

with coshelf.open(sys.argv[1], timeout=100) as shelf:
    shelf["first"] = 1
