"""Object stores: ``s3://BUCKET/PREFIX``, ``gs://`` and ``az://``, with an object for each entry. The client is obstore.

Object stores cannot commit several objects together. So commits that need this are refused; those of one entry are
atomic.
"""

from coshelf.engines.objects.opening import open_engine

__all__ = ["open_engine"]
