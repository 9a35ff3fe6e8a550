"""Object stores: ``s3://BUCKET/PREFIX``, ``gs://`` and ``az://``, an object for each entry, by way of obstore.

Nothing there commits several objects together, so what needs that is refused; what is of one entry is atomic.
"""

from coshelf.engines.objects.opening import open_engine

__all__ = ["open_engine"]
