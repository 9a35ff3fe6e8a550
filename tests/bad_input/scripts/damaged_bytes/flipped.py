import os
import random
import shutil
import sys

import coshelf

path, part, step = sys.argv[1], sys.argv[2], int(sys.argv[3])
entries = {"a": 1, "target": [1, 2], "z": "last"}
with coshelf.open(path) as shelf:
    shelf.update(entries)
whole = open(path, "rb").read()


def look():
    try:
        shelf = coshelf.open(path, "r")
    except coshelf.CoshelfError as error:
        assert path in str(error), error
        return
    for key, value in entries.items():
        try:
            found = shelf[key]
        except (coshelf.CoshelfError, KeyError):
            continue
        assert found == value, (key, found)
    for read in (lambda: list(shelf.items()), lambda: list(shelf), lambda: len(shelf), shelf.copy):
        try:
            read()
        except coshelf.CoshelfError:
            pass
    try:
        assert all(value == entries[key] for key, value in shelf.items())
    except coshelf.CoshelfError:
        pass
    shelf.close()


headers = [at for page in (0, 4096) for at in range(page, page + 160)]
rows = [at for at in range(8192, len(whole)) if whole[at]]
for at in (headers if part == "headers" else rows)[::step]:
    for by in (1 << random.Random(at).randrange(7), 128):
        broken = bytearray(whole)
        broken[at] ^= by
        with open(path, "wb") as file:
            file.write(broken)
        print("byte", at, "by", by, flush=True)
        child = os.fork()
        if child == 0:
            look()
            sys.stdout.flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert open(path, "rb").read() == broken
        if os.WIFSIGNALED(status) and part == "rows":
            # In LMDB, which follows the pointers in its pages without looking.
            shutil.rmtree(os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.coshelf"), ignore_errors=True)
        else:
            assert status == 0, status
        assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
