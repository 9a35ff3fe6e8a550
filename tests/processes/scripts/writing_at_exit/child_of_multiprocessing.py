import multiprocessing

from talking import path

import coshelf


def work(shelf):
    shelf["child"] = 1


shelf = coshelf.open(path)
child = multiprocessing.get_context("fork").Process(target=work, args=(shelf,))
child.start()
child.join()
assert child.exitcode == 0
