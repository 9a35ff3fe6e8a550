import faulthandler
import os
import random
import sys
import threading
import time

from talking import path

import coshelf
from coshelf.errors import ShelfClosed, WaitTimeout

faulthandler.enable()
sys.setswitchinterval(1e-5)
uses = sys.argv[2:]
chance = random.Random(5)
failures = []


def work(shelf, code, name, begun):
    try:
        while True:
            try:
                exec(code, {"shelf": shelf, "name": name})
            except WaitTimeout:
                pass
            begun.set()
    except ShelfClosed:
        pass
    except BaseException as error:
        failures.append((code, error))
    finally:
        begun.set()


for _turn in range(8):
    shelf = coshelf.open(path)
    shelf.update({number: number for number in range(30)})
    begun = [threading.Event() for _ in uses]
    threads = [
        threading.Thread(target=work, args=(shelf, compile(code, "use", "exec"), name, begun[name]))
        for name, code in enumerate(uses)
    ]
    for thread in threads:
        thread.start()
    for event in begun:
        event.wait()
    time.sleep(chance.random() * 0.003)
    shelf.close()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert os.listdir(os.path.dirname(path)) == ["a.shelf"]
    shelf = None
