from talking import hear, path, say

import coshelf

with coshelf.open(path) as shelf:
    accounts = [("account", number) for number in range(10)]
    say("ready")
    hear()
    looks = 0
    while "over" not in shelf or not looks:
        assert sum(shelf.get_many(accounts).values()) == 0
        assert sum(shelf.values(prefix=("account",))) == 0
        assert sum(value for key, value in shelf.items(reverse=True) if key in accounts) == 0
        whole = shelf.copy()
        assert sum(whole[account] for account in accounts) == 0
        assert sum(whole.get(("moved", name), 0) for name in range(4)) == whole.get("total", 0)
        with shelf.snapshot() as snapshot:
            total = snapshot.get("total", 0)
            parts = sum(snapshot.get(("moved", name), 0) for name in range(4))
            assert total == parts, (total, parts)
            assert sum(snapshot[account] for account in accounts) == 0
            assert sum(snapshot.copy()[account] for account in accounts) == 0
        looks += 1
    say(looks)
