"""A storage for limits, and so for Flask-Limiter and slowapi: rate limits that all processes of a machine share.

Importing this module tells limits the schemes ``coshelf://`` and ``async+coshelf://``. docs/integrations/limits.md says
what is promised.

>>> import limits, coshelf.contrib.limits
>>> storage = limits.storage.storage_from_string("coshelf://memory:")
>>> limiter = limits.strategies.MovingWindowRateLimiter(storage)
>>> twice_a_minute = limits.parse("2/minute")
>>> [limiter.hit(twice_a_minute, "ann") for _ in range(3)]
[True, True, False]
"""

from coshelf.contrib.limits.storage import CoshelfStorage
from coshelf.contrib.limits.tasks import AsyncCoshelfStorage

__all__ = ["AsyncCoshelfStorage", "CoshelfStorage"]
