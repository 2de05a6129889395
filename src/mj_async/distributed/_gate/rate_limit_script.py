"""The rate limiter as a Lua script: one hash, one atomic step, by the clock of Redis.

The hash has these fields. `free`: the time from which the next request may be sent. `until`: the
end of the hold. `next`: the length of the next hold without a Retry-After. `forget`: the time
when that length is forgotten. Times are Unix seconds.

Requests get slots. Slots follow each other by `interval`. After a pause, the slots that were not
used may be used at once, up to `burst`, and a pause of the same length follows. So no second has
more requests than the rate. The usual algorithm (GCRA) does not guarantee that: it permits a burst
and then goes on at the full rate.

Slots are granted up to `horizon` ahead, so that a process knows its next ones. A process without
slots gets one up to `far_horizon` ahead, so that all processes get turns, even if one of them is
nearer to Redis. The slots of a process that dies are lost; others wait no longer than that.
"""

from hashlib import sha1

# KEYS[1]: the hash.
# ARGV: interval, burst, horizon, far_horizon, number of slots wanted. Then for a 429: its
# Retry-After, "none" for a 429 without one, "" for no 429; the factor by which a hold is
# lengthened (jitter); the first hold; the longest hold; how long the length of holds is kept.
# Returns the rest of the hold and the time until the first paced slot, in microseconds; the
# number of slots that may be used now, and the number of paced slots.
SCRIPT = """
local redis_time = redis.call('TIME')
local now = tonumber(redis_time[1]) + tonumber(redis_time[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'free', 'until', 'next', 'forget')
local free, held_until = tonumber(kept[1]) or 0, tonumber(kept[2]) or 0
local next_hold, forget_at = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
local interval, burst, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local far_horizon, wanted = tonumber(ARGV[4]), tonumber(ARGV[5])
local retry_after, jitter = ARGV[6], tonumber(ARGV[7])

local function save(...)
  redis.call('HSET', KEYS[1], ...)
  local last = math.max(free, held_until, forget_at) - now
  redis.call('PEXPIRE', KEYS[1], math.ceil(last * 1000) + 60000)
end
local function format_time(seconds)
  return string.format('%.6f', seconds)
end

if retry_after ~= '' then
  local seconds = tonumber(retry_after)
  if seconds then
    held_until = math.max(held_until, now + seconds * jitter)
  elseif now >= held_until then  -- else: the 429 of a request sent before the hold began
    if now >= forget_at then
      next_hold = tonumber(ARGV[8])
    end
    held_until = now + next_hold * jitter
    next_hold = math.min(2 * next_hold, tonumber(ARGV[9]))
    forget_at = held_until + tonumber(ARGV[10])
  end
  save('until', format_time(held_until), 'next', format_time(next_hold),
       'forget', format_time(forget_at))
end

local immediate, paced, first = 0, 0, 0
if wanted > 0 and now >= held_until then
  -- `free` is further ahead only if the clock of Redis was set back, or the rate was slower.
  free = math.min(free, now + far_horizon + burst * interval)
  if free <= now then
    immediate = math.min(wanted, burst, 1 + math.floor((now - free) / interval))
    free = now + immediate * interval
  end
  first = free - now
  paced = math.max(first <= far_horizon and 1 or 0, math.floor((horizon - first) / interval) + 1)
  paced = math.max(0, math.min(wanted - immediate, paced))
  free = free + paced * interval
  if immediate + paced > 0 then
    save('free', format_time(free))
  end
end
local left = math.max(0, held_until - now)
return {math.ceil(left * 1000000), math.ceil(first * 1000000), immediate, paced}
"""
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # EVALSHA's name for it
