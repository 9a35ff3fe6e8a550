import random

from scripts.kinds.opened import open_shelf
from talking import path

import coshelf

chance = random.Random(7)
shelf, model = open_shelf(flush_interval=1000), {}
names = [*range(30), *("x" * 490 + str(n) for n in range(15)), *("y" * 2000 + str(n) for n in range(5))]
for turn in range(1500):
    name, value = chance.choice(names), chance.choice([turn, "x" * 500, b"y" * 70_000])
    match chance.randrange(12):
        case 0 | 1 | 2 | 3 | 4:
            shelf[name] = model[name] = value
        case 5 | 6:
            assert shelf.pop(name, None) == model.pop(name, None)
        case 7:
            assert shelf.setdefault(name, value) == model.setdefault(name, value)
        case 8:
            new = {chance.choice(names): turn for _ in range(20)}
            shelf.update(new)
            model.update(new)
        case 9:
            with shelf.transaction() as t:
                t[name] = model[name] = value
                t.pop(names[0], None)
                model.pop(names[0], None)
        case 10 if turn % 3 == 0:
            shelf.sync()
        case 11 if turn % 40 == 0:
            shelf.clear()
            model.clear()
    assert len(shelf) == len(model)
    assert shelf.get(name) == model.get(name)
    if turn % 25 == 0:
        ordered = sorted(model, key=lambda key: (isinstance(key, str), key))
        assert list(shelf) == ordered
        assert list(shelf.items(reverse=True)) == [(key, model[key]) for key in reversed(ordered)]
        assert set(shelf.keys(prefix="x" * 490)) == {key for key in model if str(key).startswith("x")}
shelf.close()
with coshelf.open(path, "r") as shelf:
    assert shelf.copy() == model
