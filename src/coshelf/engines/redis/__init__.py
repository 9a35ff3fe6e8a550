"""The redis engine: a shelf on Redis or Valkey: one server, servers with Sentinel, or a Cluster. See docs/engines.md.

A shelf is a hash with the records, and a sorted set with the keys in order. Both are in one hash slot. So one script
can check and change them together. On a Cluster, a shelf may have several such pairs, its buckets.
"""

from coshelf.engines.redis.engine import RedisEngine, open_engine

__all__ = ["RedisEngine", "open_engine"]
