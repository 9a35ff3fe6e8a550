from talking import hear, path, say

import coshelf

keys = [f"{'long' * 200 * (n % 2)}{n}" for n in range(40)]
with coshelf.open(path) as shelf:
    say("ready")
    hear()
    while True:
        found = shelf.get_many(keys)
        assert len(found) in (0, 40) and len(set(found.values())) <= 1
        with shelf.snapshot() as snapshot:
            assert len(snapshot) in (0, 40)
            assert len(set(snapshot.values())) <= 1
        if found.get("0") == "over":
            break
