import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, timeout=1000)  # longer than any test: only the interrupt ends the wait
write = {
    "commit": lambda: shelf.update(mine=1),
    "transaction": lambda: shelf.transaction().__enter__(),
    "modify": lambda: shelf.modify("mine", lambda value: 1, default=0),
}[sys.argv[2]]
for _turn in range(20):
    try:
        say("waiting")
        write()
    except KeyboardInterrupt:
        say("interrupted")
assert "mine" not in shelf
say("alive")
hear()
write()
if sys.argv[2] != "transaction":
    assert shelf["mine"] == 1
    with shelf.transaction() as t:
        t["more"] = 1
    shelf.close()
    say("closed")
