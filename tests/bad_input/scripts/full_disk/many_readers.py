from scripts.full_disk.filling import leave, path

import coshelf

with coshelf.open(path) as shelf:
    shelf["a"] = 1
    leave(0)
    held = []
    for n in range(300):
        print("reader", n, flush=True)
        held.append(shelf.snapshot())
    assert all(snapshot["a"] == 1 for snapshot in held)
    for snapshot in held:
        snapshot.close()
