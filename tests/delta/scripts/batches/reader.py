"""Half of what each commit writes is checked against the other half."""

import sys

from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, "r" if sys.argv[2] == "r" else "w")
say("ready")
hear()
looked = 0
while True:
    with shelf.snapshot() as snapshot:
        turns = {value[0] for value in snapshot.values(prefix=("key",))}
        assert len(turns) <= 1, turns
        if turns:
            (turn,) = turns
            assert len(list(snapshot.keys(prefix=("key",)))) == snapshot["size"], turn
            assert snapshot["turn"] == turn
            looked += 1
            if turn == "end":
                break
    found = {turn for turn, _ in shelf.get_many([("key", 0), ("key", 1)]).values()}
    assert len(found) <= 1, found
assert looked
