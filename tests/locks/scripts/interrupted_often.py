"""A thread that takes a lock again and again is interrupted at random times."""

import os
import random
import signal
import sys
import threading
import time
import warnings

from talking import path, say

import coshelf

SEED, ROUNDS = 7, 60

# An interrupt may come between the opening of a file and its block, or in a finalizer: Python tells of both.
warnings.simplefilter("ignore", ResourceWarning)

shelf = coshelf.open(path)
armed = threading.Event()
over = threading.Event()


class Interrupt(BaseException):
    pass


def unraisable(told):
    if not isinstance(told.exc_value, Interrupt):
        sys.__unraisablehook__(told)


sys.unraisablehook = unraisable


def interrupt(number, frame):
    if armed.is_set():
        armed.clear()
        raise Interrupt


def send():
    pauses = random.Random(SEED)
    while not over.is_set():
        time.sleep(pauses.uniform(0, 0.002))
        if armed.is_set():
            os.kill(os.getpid(), signal.SIGUSR2)


def is_free():
    free = []

    def attempt():
        free.append(bool(shelf.lock("door").acquire(timeout=60)))

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return free == [True]


def use():
    try:
        armed.set()
        while True:
            with shelf.lock("door"):
                pass
            turn = shelf.lock("door", reentrant=True).acquire()
            assert turn
            turn.release()
    except Interrupt:
        pass  # and the traceback goes, with what it refers to


signal.signal(signal.SIGUSR2, interrupt)
sender = threading.Thread(target=send)
sender.start()
for _ in range(ROUNDS):
    use()
    # An interrupt may come before the first step of giving a turn back. Then the thread has it still, and can do that.
    if shelf.lock("door", reentrant=True).acquire(blocking=False):
        while True:
            try:
                shelf.lock("door").release()
            except coshelf.TurnNotHeld:
                break
    assert is_free()
    while shelf.lock("door").locked():
        pass
over.set()
sender.join()
say("nothing is held")
