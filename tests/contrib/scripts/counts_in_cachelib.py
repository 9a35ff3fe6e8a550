"""Counts in a cache of cachelib, until it is killed or told to end. It tells each sum after its commit."""

import sys
import threading

from talking import hear, path, say

from coshelf.contrib.cachelib import CoshelfCache

end = threading.Event()


def listen() -> None:
    hear()
    end.set()


threading.Thread(target=listen, daemon=True).start()
cache = CoshelfCache(path, default_timeout=0)
say("ready")
while not end.is_set():
    say(cache.inc(sys.argv[2]))
    cache.set("page", {"by": sys.argv[2], "text": "x" * 2_000})
