from scripts.optimistic.flushing import shelf

for _ in range(80):
    shelf.modify("count", lambda n: n + 1)
