from talking import hear, path, say

import coshelf

shelf = coshelf.open(path, "r")
snapshot = shelf.snapshot()
items = iter(shelf.items())
first = next(items)
cursor = snapshot.cursor()
cursor.first()
say("holding")
hear()
assert dict([first, *items]) == dict(snapshot) == dict.fromkeys(range(500), (0, "x" * 100)) | {"waiting": 1}
