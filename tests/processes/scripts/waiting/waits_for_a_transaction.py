import scripts.waiting.patient  # noqa: F401
from talking import path, say

import coshelf.mapping.shelf

with coshelf.open(path) as shelf:
    say("ready")
    assert shelf.wait("it") == 1
    assert shelf["with"] == 2
