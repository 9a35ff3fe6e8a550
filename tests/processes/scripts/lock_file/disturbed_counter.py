import threading

from scripts.lock_file.disturb import disturb
from talking import hear, path, say

import coshelf

shelf = coshelf.open(path)
shelf.update({number: ("first", number) for number in range(100)}, both=0)
snapshot = shelf.snapshot()
done = threading.Event()


def count():
    for turn in range(150):
        shelf.modify("both", lambda number: number + 1)
        shelf["first"] = turn
    done.set()


thread = threading.Thread(target=count)
disturb()
say("disturbed")
hear()
thread.start()
rounds = 0
while not done.is_set() or rounds < 20:
    disturb()
    rounds += 1
    assert dict(snapshot) == {**{number: ("first", number) for number in range(100)}, "both": 0}  # type: ignore[misc]
thread.join()
say("counted")
hear()
assert shelf["second"] == 149 and shelf["both"] == 300
assert snapshot["both"] == 0
snapshot.close()
shelf.close()
