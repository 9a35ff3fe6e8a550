"""The Lua scripts. Each is one step on the server: no other command runs meanwhile.

The scripts do not compare strings for order by ``<``: Lua does that by the server's locale.

A script asks for the time only if an entry of the shelf expires. Times are microseconds since 1970, written in full:
Lua would round them when it writes a number.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

__all__ = ["COMMIT", "COUNT", "CREATE", "GET", "KEYS", "PAGE", "REMOVE", "RING", "WATCH", "Script", "in_full"]

_KEPT = 10_000  # entries of the history; it may have some hundred more
_CHANGES = 100  # in one entry
_BYTES = 8_192  # an entry ends after so many; the history has no record that is larger
_MOST = 1_000  # entries of one commit; a larger one is told as a gap

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


# Functions that scripts contain where they need them. A shelf without times does not pay for making them.
_CLOCK = """
-- The time: what was given, or the server's own if that is empty.
local function clock(given)
  if given ~= '' then return given end
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000000 + time[2])
end
"""

_OVERDUE = (
    _CLOCK
    + """
-- The time, if some entry has expired and was not removed yet.
local function overdue(times, given)
  local now = clock(given)
  return redis.call('ZCOUNT', times, '-inf', now) > 0 and now or nil
end
"""
)

_IS_OVER = """
local function is_over(times, key, now)
  local time = redis.call('ZSCORE', times, key)
  return time and tonumber(time) <= tonumber(now)
end
"""

_REMOVE = """
-- Removes up to a number of entries that have expired, and returns how many these were. They are told in a table.
local function remove(records, keys, times, now, most, told)
  local total = 0
  while total < most do
    local some = redis.call('ZRANGEBYSCORE', times, '-inf', now, 'LIMIT', 0, math.min(most - total, 1000))
    if #some == 0 then break end
    redis.call('HDEL', records, unpack(some))
    redis.call('ZREM', keys, unpack(some))
    redis.call('ZREM', times, unpack(some))
    for i = 1, told and #some or 0 do
      told[#told + 1] = 'x' .. some[i]
      told[#told + 1] = ''
    end
    total = total + #some
  end
  return total
end
"""

# What a commit did, as pairs of kind and key, and record. The kinds are those of docs/format.md.
_TELL = f"""
-- Adds a commit to the history.
local function tell(state, history, number, told)
  local last = {{}}
  for i = 1, #told, 2 do last[string.sub(told[i], 2)] = i end
  local before = redis.call('HMGET', state, 'told', 'teller')
  local count = string.format('%.0f', (before[1] or 0) + 1)
  local entries, part, size = {{}}, {{'c', number, 'p', before[2] or ''}}, 0
  for i = 1, #told, 2 do
    if last[string.sub(told[i], 2)] == i then
      if #part >= {2 * _CHANGES} or size > {_BYTES} then
        part[#part + 1] = 'm'
        part[#part + 1] = ''
        entries[#entries + 1] = part
        part, size = {{}}, 0
      end
      local small = #told[i + 1] <= {_BYTES}
      part[#part + 1] = small and told[i] or string.upper(string.sub(told[i], 1, 1)) .. string.sub(told[i], 2)
      part[#part + 1] = small and told[i + 1] or ''
      size = size + #part[#part - 1] + #part[#part]
    end
  end
  entries[#entries + 1] = part
  if #entries > {_MOST} then entries = {{{{'c', number, 'p', before[2] or '', 'g', ''}}}} end
  redis.call('HSET', state, 'told', count, 'teller', number)
  for i = 1, #entries do
    redis.call('XADD', history, 'MAXLEN', '~', {_KEPT}, count .. '-' .. (i - 1), unpack(entries[i]))
  end
end
"""

CREATE: Final = Script("""
-- KEYS: meta.  ARGV: names and values of its fields.  Whoever comes second finds what the first made.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV))
end
return redis.call('HGETALL', KEYS[1])
""")

COMMIT: Final = Script(f"""
-- KEYS: state, records, keys, reserved records, times, ticket, bell, history, reserved keys, bell of lines.
-- ARGV: store id, number of the commit, command that rings, time, what it changes: lines, others or both; how many
-- checks, clears, deletes, puts of reserved rows, puts of entries, and times; then these.
-- Returns 1 when it has happened, 0 if the shelf is not here, and else the keys whose checks failed.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
if redis.call('GET', KEYS[6]) == ARGV[2] then return 1 end  -- this very commit, sent once more
local expires, now = redis.call('EXISTS', KEYS[5]) == 1, nil
if expires then
  {_CLOCK}
  now = clock(ARGV[4])
end
local told = redis.call('EXISTS', KEYS[8]) == 1 and {{}} or nil
local note = told and function(kind, key, record)
  if kind == 'd' and expires then
    local time = redis.call('ZSCORE', KEYS[5], key)
    if time and tonumber(time) <= tonumber(now) then kind = 'x' end
  end
  told[#told + 1] = kind .. key
  told[#told + 1] = record
end
local at, failed = 12, {{}}
for _ = 1, tonumber(ARGV[6]) do
  local key = ARGV[at]
  local hash = string.byte(key) < 16 and KEYS[4] or KEYS[2]
  local record = redis.call('HGET', hash, key)
  local time = record and expires and redis.call('ZSCORE', KEYS[5], key)
  if time and tonumber(time) <= tonumber(now) then record = false end
  if (record and string.sub(record, -12, -5) or '') ~= ARGV[at + 1] then failed[#failed + 1] = key end
  at = at + 2
end
if #failed > 0 then return failed end
for _ = 1, tonumber(ARGV[7]) do
  local start, stop = ARGV[at], ARGV[at + 1]
  if start == '*' then
    if told then
      for _, key in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do note('d', key, '') end
    end
    redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[5])
  else
    local is_own = (string.byte(start, 2) or 0) < 16
    local hash, set = is_own and KEYS[4] or KEYS[2], is_own and KEYS[9] or KEYS[3]
    repeat
      local some = redis.call('ZRANGEBYLEX', set, start, stop, 'LIMIT', 0, 1000)
      if #some > 0 then
        for i = 1, told and not is_own and #some or 0 do note('d', some[i], '') end
        redis.call('HDEL', hash, unpack(some))
        redis.call('ZREM', set, unpack(some))
        if expires and not is_own then redis.call('ZREM', KEYS[5], unpack(some)) end
      end
    until #some < 1000
  end
  at = at + 2
end
for _ = 1, tonumber(ARGV[8]) do
  local key = ARGV[at]
  if string.byte(key) < 16 then
    if redis.call('HDEL', KEYS[4], key) == 1 then redis.call('ZREM', KEYS[9], key) end
  elseif redis.call('HDEL', KEYS[2], key) == 1 then
    if told then note('d', key, '') end
    redis.call('ZREM', KEYS[3], key)
    if expires then redis.call('ZREM', KEYS[5], key) end
  end
  at = at + 1
end
-- Puts rows up to a place into a hash, and their keys into a sorted set.
local function put(hash, set, last, may_expire)
  while at < last do
    local to = math.min(at + 199, last)
    if to == at + 1 then
      if redis.call('HSET', hash, ARGV[at], ARGV[to]) == 1 then redis.call('ZADD', set, 0, ARGV[at]) end
    elseif redis.call('HSET', hash, unpack(ARGV, at, to)) > 0 then
      local new = {{}}
      for i = at, to, 2 do
        new[#new + 1] = 0
        new[#new + 1] = ARGV[i]
      end
      redis.call('ZADD', set, unpack(new))
    end
    if may_expire then
      local some = {{}}
      for i = at, to, 2 do some[#some + 1] = ARGV[i] end
      redis.call('ZREM', KEYS[5], unpack(some))
    end
    at = to + 1
  end
end
put(KEYS[4], KEYS[9], at + 2 * tonumber(ARGV[9]) - 1, false)
local last = at + 2 * tonumber(ARGV[10]) - 1
for i = at, told and last or 0, 2 do note('s', ARGV[i], ARGV[i + 1]) end
put(KEYS[2], KEYS[3], last, expires)
last = at + 2 * tonumber(ARGV[11]) - 1
while at < last do
  local to = math.min(at + 199, last)
  redis.call('ZADD', KEYS[5], unpack(ARGV, at, to))
  at = to + 1
end
if expires then
  {_REMOVE}
  remove(KEYS[2], KEYS[3], KEYS[5], now, 20 + 2 * (tonumber(ARGV[8]) + tonumber(ARGV[10])), told)
end
if told and #told > 0 then
  {_TELL}
  tell(KEYS[1], KEYS[8], ARGV[2], told)
end
redis.call('SET', KEYS[6], ARGV[2], 'EX', 3600)
if ARGV[5] ~= 'lines' then redis.call(ARGV[3], KEYS[7], redis.call('HINCRBY', KEYS[1], 'changes', 1)) end
if ARGV[5] ~= 'others' then redis.call(ARGV[3], KEYS[10], redis.call('HINCRBY', KEYS[1], 'line-changes', 1)) end
return 1
""")

RING: Final = Script("""
-- KEYS: state, bell of lines.  ARGV: store id, command that rings.  Returns 0 if the shelf is not here.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call(ARGV[2], KEYS[2], redis.call('HINCRBY', KEYS[1], 'line-changes', 1))
return 1
""")

REMOVE: Final = Script(f"""
-- KEYS: state, records, keys, times, history.  ARGV: store id, time, most entries, number of the commit.
-- Returns how many expired entries were removed, and -1 if the shelf is not here.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return -1 end
if redis.call('EXISTS', KEYS[4]) == 0 then return 0 end
{_CLOCK}{_REMOVE}
local told = redis.call('EXISTS', KEYS[5]) == 1 and {{}} or nil
local total = remove(KEYS[2], KEYS[3], KEYS[4], clock(ARGV[2]), tonumber(ARGV[3]), told)
if told and total > 0 then
  {_TELL}
  tell(KEYS[1], KEYS[5], ARGV[4], told)
end
return total
""")

WATCH: Final = Script("""
-- KEYS: state, history.  ARGV: store id, a random number, seconds.
-- Keeps the history for so many seconds. If there is none, begins one, which is told as a gap.
-- Returns count and number of the last commit.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return false end
if redis.call('EXISTS', KEYS[2]) == 0 then
  local count = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'told', 1))
  redis.call('HSET', KEYS[1], 'teller', ARGV[2])
  redis.call('XADD', KEYS[2], count .. '-0', 'c', ARGV[2], 'p', '', 'g', '')
end
redis.call('EXPIRE', KEYS[2], ARGV[3])
return redis.call('HMGET', KEYS[1], 'told', 'teller')
""")

GET: Final = Script(f"""
-- KEYS: records, times.  ARGV: time, then the keys.  Returns their records.
{_OVERDUE}{_IS_OVER}
local now = overdue(KEYS[2], ARGV[1])
local records = {{}}
for at = 2, #ARGV, 100 do
  local some = redis.call('HMGET', KEYS[1], unpack(ARGV, at, math.min(at + 99, #ARGV)))
  for i = 1, #some do
    local gone = now and some[i] and is_over(KEYS[2], ARGV[at + i - 1], now)
    records[#records + 1] = not gone and some[i]
  end
end
return records
""")

COUNT: Final = Script(f"""
-- KEYS: keys, times.  ARGV: time; two bounds, or two empty ones for the whole.  Returns the number of entries.
local whole, start, stop = ARGV[3] == '', ARGV[2], ARGV[3]
local total = whole and redis.call('ZCARD', KEYS[1]) or redis.call('ZLEXCOUNT', KEYS[1], '[' .. start, '(' .. stop)
if redis.call('EXISTS', KEYS[2]) == 0 then return total end
{_CLOCK}
local gone = redis.call('ZCOUNT', KEYS[2], '-inf', clock(ARGV[1]))
if whole then return math.max(0, total - gone) end  -- a server may have evicted the keys alone
local function precedes(one, other)
  for i = 1, math.min(#one, #other) do
    local left, right = string.byte(one, i), string.byte(other, i)
    if left ~= right then return left < right end
  end
  return #one < #other
end
for at = 0, gone - 1, 1000 do
  for _, key in ipairs(redis.call('ZRANGE', KEYS[2], at, math.min(at + 1000, gone) - 1)) do
    if not precedes(key, start) and precedes(key, stop) then total = total - 1 end
  end
end
return total
""")

KEYS: Final = Script(f"""
-- KEYS: keys, times.  ARGV: command, two bounds, most keys, time.
-- Returns keys, and the places of those whose entries have expired.
{_OVERDUE}{_IS_OVER}
local keys = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local now, gone = overdue(KEYS[2], ARGV[5]), {{}}
for at = 1, now and #keys or 0 do
  if is_over(KEYS[2], keys[at], now) then gone[#gone + 1] = at end
end
return {{keys, gone}}
""")

PAGE: Final = Script(f"""
-- KEYS: keys, records, and times if entries may have some.
-- ARGV: command, two bounds, most entries, time, and bytes after which the page ends.
-- Returns keys, the places of those whose entries have expired, and the records, of which there may be fewer.
local keys = redis.call(ARGV[1], KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
local now
if KEYS[3] and redis.call('EXISTS', KEYS[3]) == 1 then
  {_OVERDUE}
  now = overdue(KEYS[3], ARGV[5])
end
local records, gone, size = {{}}, {{}}, 0
for at = 1, #keys, 20 do
  local some = redis.call('HMGET', KEYS[2], unpack(keys, at, math.min(at + 19, #keys)))
  for i = 1, #some do
    local time = now and redis.call('ZSCORE', KEYS[3], keys[at + i - 1])
    if time and tonumber(time) <= tonumber(now) then
      gone[#gone + 1] = at + i - 1
      some[i] = false
    end
    records[#records + 1] = some[i]
    if some[i] then size = size + #some[i] end
  end
  if size > tonumber(ARGV[6]) then break end
end
return {{keys, gone, records}}
""")
