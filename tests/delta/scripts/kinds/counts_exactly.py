from scripts.kinds.opened import open_shelf
from talking import hear, say

shelf = open_shelf(flush_interval=0.003)
say("ready")
hear()
for _turn in range(60):
    shelf.modify("count", lambda value: value + 1, default=0)
    with shelf.transaction() as t:
        t["left"] = t.get("left", 0) + 1
        t["right"] = t.get("right", 0) - 1
    with shelf.snapshot() as snapshot:
        assert snapshot["left"] + snapshot["right"] == 0
shelf.close()
