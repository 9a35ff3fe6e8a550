"""Storages for hishel: an HTTP cache for httpx and requests that all processes of a machine share.

docs/integrations/hishel.md says what is promised.
"""

from coshelf.contrib.hishel.storage import CoshelfStorage
from coshelf.contrib.hishel.tasks import AsyncCoshelfStorage

__all__ = ["AsyncCoshelfStorage", "CoshelfStorage"]
