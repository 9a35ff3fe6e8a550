import logging
import sys
import threading

import coshelf

logging.getLogger("coshelf").setLevel(logging.ERROR)


def work():
    threading.main_thread().join(100)
    for number in range(20):
        shelf.update({f"{number}/a": 1, f"{number}/b": 1})


shelf = coshelf.open(sys.argv[1], timeout=100)
threading.Thread(target=work).start()
