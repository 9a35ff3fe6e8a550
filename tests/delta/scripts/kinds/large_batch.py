from scripts.kinds.opened import open_shelf
from talking import path

import coshelf

with open_shelf(flush_interval=1000) as shelf:
    shelf["waiting"] = 1
    shelf.update({n: n for n in range(3000)} | {"large": bytes(3_000_000)})
    shelf["later"] = 1
    assert len(shelf) == 3003
with coshelf.open(path, "r") as shelf:
    assert len(shelf) == 3003 and shelf["large"] == bytes(3_000_000)
