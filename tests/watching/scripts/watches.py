"""Prints each change as a line, from a version on: its version, kind, key and value, as JSON."""

from __future__ import annotations

import json
import sys

from talking import path, say

import coshelf

with coshelf.open(path, "w") as shelf:
    since = json.loads(sys.argv[2])
    with shelf.watch(since=since) as watch:
        say("watches")
        for change in watch:
            if change.key != "unwatched":
                say(json.dumps([change.version, change.kind, str(change.key), change.value]))
