import talking  # noqa: F401 (it has an alarm)
from scripts.optimistic.flushing import name, shelf

for turn in range(60):
    first = shelf.setdefault(turn, name)
    assert shelf[turn] in (first, "replaced")
    if first != "replaced" and shelf.replace(turn, first, "replaced"):
        shelf["count", name] = shelf.get(("count", name), 0) + 1
