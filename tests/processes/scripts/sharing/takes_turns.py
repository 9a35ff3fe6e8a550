from talking import path

import coshelf

with coshelf.open(path) as shelf:
    for _turn in range(100):
        with shelf.transaction() as t:
            t["n"] = t.get("n", 0) + 1
