import talking  # noqa: F401 (it has an alarm)
from insides import table_pages
from scripts.used_up.filling import check, generation, shelf

for turn in range(1, 3000):
    shelf["turn"] = turn
    shelf["half", turn % 50] = "x" * 3000 + str(turn)
    if turn % 10 == 0:
        shelf.sync()
assert generation() == 0
assert table_pages(shelf) < 200
check(turn)
shelf.close()
