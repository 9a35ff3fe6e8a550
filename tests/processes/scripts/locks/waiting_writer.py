import sys

from talking import path, say

import coshelf

with coshelf.open(path) as shelf:
    say("waiting")
    if sys.argv[2] == "commit":
        shelf["commit"] = shelf.get("half")
        assert shelf["half"] == "not committed"
    else:
        with shelf.transaction() as t:
            t["transaction"] = t["half"]
