"""A backend for cashews. Importing this package tells cashews the scheme ``coshelf://``.

docs/integrations/cashews.md says how to set it up.

>>> import asyncio, cashews, coshelf.contrib.cashews
>>> cache = cashews.Cache()
>>> backend = cache.setup("coshelf://memory:")
>>> async def main():
...     await cache.set("ann", {"cart": []}, expire="10m")
...     return await cache.get("ann"), await cache.incr("visits")
>>> asyncio.run(main())
({'cart': []}, 1)
"""

from cashews.picklers import PicklerType
from cashews.wrapper.backend_settings import register_backend

from coshelf.contrib.cashews.backend import CoshelfBackend

__all__ = ["CoshelfBackend"]

register_backend("coshelf", CoshelfBackend, pass_uri=True, pickler=PicklerType.DEFAULT)
