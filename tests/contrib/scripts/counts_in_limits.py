"""Counts hits in a storage of limits, until it is killed or told to end. It tells each number after its commit."""

import sys
import threading

from limits import RateLimitItemPerDay
from limits.strategies import FixedWindowRateLimiter
from talking import hear, path, say

from coshelf.contrib.limits import CoshelfStorage

end = threading.Event()


def listen() -> None:
    hear()
    end.set()


threading.Thread(target=listen, daemon=True).start()
storage = CoshelfStorage(f"coshelf://{path}")
limiter, limit = FixedWindowRateLimiter(storage), RateLimitItemPerDay(1_000_000)
say("ready")
while not end.is_set():
    assert limiter.hit(limit, sys.argv[2])
    say(storage.get(limit.key_for(sys.argv[2])))
