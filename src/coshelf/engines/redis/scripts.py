"""The Lua scripts. Each is one step on the server: no other command runs meanwhile.

The scripts do not compare strings for order: Lua does that by the server's locale.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

__all__ = ["COMMIT", "CREATE", "PAGE", "Script", "in_full"]

_TEXTS: dict[str, str] = {}


class Script:
    """A script, and its digest, by which a server finds it after it has received the text."""

    def __init__(self, text: str) -> None:
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        _TEXTS[self.digest] = text

    def call(self, keys: tuple[bytes, ...], *arguments: Any) -> tuple[Any, ...]:
        """The command that runs it."""
        return ("EVALSHA", self.digest, len(keys), *keys, *arguments)


def in_full(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """The command of :meth:`Script.call` for a server that does not have the script."""
    return ("EVAL", _TEXTS[command[1]], *command[2:])


CREATE: Final = Script("""
-- KEYS: meta.  ARGV: names and values of its fields.  Whoever comes second finds what the first made.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV))
end
return redis.call('HGETALL', KEYS[1])
""")

COMMIT: Final = Script("""
-- KEYS: state, records, keys, reserved records, ticket, bell.
-- ARGV: store id, number of the commit, command that rings, how many checks, clears, deletes and puts; then these.
-- Returns 1 when it has happened, 0 if the shelf is not here, and else the keys whose checks failed.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
if redis.call('GET', KEYS[5]) == ARGV[2] then return 1 end  -- this very commit, sent once more
local at, failed = 8, {}
for _ = 1, tonumber(ARGV[4]) do
  local key = ARGV[at]
  local hash = string.byte(key) < 16 and KEYS[4] or KEYS[2]
  local record = redis.call('HGET', hash, key)
  if (record and string.sub(record, -12, -5) or '') ~= ARGV[at + 1] then failed[#failed + 1] = key end
  at = at + 2
end
if #failed > 0 then return failed end
for _ = 1, tonumber(ARGV[5]) do
  local start, stop = ARGV[at], ARGV[at + 1]
  if start == '*' then
    redis.call('UNLINK', KEYS[2], KEYS[3])
  else
    repeat
      local some = redis.call('ZRANGEBYLEX', KEYS[3], start, stop, 'LIMIT', 0, 1000)
      if #some > 0 then
        redis.call('HDEL', KEYS[2], unpack(some))
        redis.call('ZREM', KEYS[3], unpack(some))
      end
    until #some < 1000
  end
  at = at + 2
end
for _ = 1, tonumber(ARGV[6]) do
  local key = ARGV[at]
  if string.byte(key) < 16 then
    redis.call('HDEL', KEYS[4], key)
  elseif redis.call('HDEL', KEYS[2], key) == 1 then
    redis.call('ZREM', KEYS[3], key)
  end
  at = at + 1
end
local last = at + 2 * tonumber(ARGV[7]) - 1
while at < last do
  local to = math.min(at + 199, last)
  if string.byte(ARGV[at]) < 16 then
    redis.call('HSET', KEYS[4], ARGV[at], ARGV[at + 1])
    at = at + 2
  else
    if to == at + 1 then
      if redis.call('HSET', KEYS[2], ARGV[at], ARGV[to]) == 1 then redis.call('ZADD', KEYS[3], 0, ARGV[at]) end
    elseif redis.call('HSET', KEYS[2], unpack(ARGV, at, to)) > 0 then
      local new = {}
      for i = at, to, 2 do
        new[#new + 1] = 0
        new[#new + 1] = ARGV[i]
      end
      redis.call('ZADD', KEYS[3], unpack(new))
    end
    at = to + 1
  end
end
redis.call('SET', KEYS[5], ARGV[2], 'EX', 3600)
redis.call(ARGV[3], KEYS[6], redis.call('HINCRBY', KEYS[1], 'changes', 1))
return 1
""")

PAGE: Final = Script("""
-- KEYS: keys, records.  ARGV: command, two bounds, most entries, and bytes after which the page ends.
-- Returns keys and their records, of which there may be fewer.
local keys = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local records, size = {}, 0
for at = 1, #keys, 20 do
  local some = redis.call('HMGET', KEYS[2], unpack(keys, at, math.min(at + 19, #keys)))
  for i = 1, #some do
    records[#records + 1] = some[i]
    if some[i] then size = size + #some[i] end
  end
  if size > tonumber(ARGV[5]) then break end
end
return {keys, records}
""")
