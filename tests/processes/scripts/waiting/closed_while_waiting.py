import os
import threading

from talking import path, say

import coshelf
from coshelf.engines.lmdb.files import state_page
from coshelf.errors import ShelfClosed

asleep = threading.Event()
sleep = state_page.Bell.wait


def told(*arguments):
    asleep.set()
    sleep(*arguments)


state_page.Bell.wait = told
shelf = coshelf.open(path)


def wait():
    try:
        shelf.wait("it")
    except ShelfClosed:
        say("closed")


thread = threading.Thread(target=wait)
thread.start()
asleep.wait()
shelf.close()
thread.join()
assert sorted(os.listdir(os.path.dirname(path))) == ["a.shelf"]
