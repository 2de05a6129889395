"""What Redis does at one look at a shared gate, as Lua: one hash, one step, Redis' own time.

The hash has `free`, the time from which the next request may be sent; `until`, the end of the
hold; and `next` and `forget`, how long a hold without a Retry-After will be, and when that is
forgotten. Times are Unix seconds.

Requests are handed out as slots. Without a pause before, they follow each other by `interval`.
What a pause has left unused may be sent at once, up to `burst`, and is paid for by as long a
pause behind it. So there are never more than a second's worth in any second, which the usual
bucket (GCRA) does not promise: it lets a burst pass and goes on at the full rate.

Slots are given out up to `horizon` ahead, so that each process knows its next turns; and one to
a process that has none, up to `far_horizon`, so that they take turns although one is nearer to
Redis than another. Those of a process that dies are lost, and nobody waits for longer than that.
"""

from hashlib import sha1

# KEYS[1]: the hash. ARGV: interval, burst, horizon, far_horizon, slots wanted; then a 429: its
# Retry-After, "none" where it had none, "" where there is no news; by how much a hold is
# stretched, the first hold, the longest, and how long holds are remembered.
# -> microseconds: what is left of the hold, until the first paced slot; and counts: the slots
# for now, the paced ones.
SCRIPT = """
local redis_time = redis.call('TIME')
local now = tonumber(redis_time[1]) + tonumber(redis_time[2]) / 1000000
local kept = redis.call('HMGET', KEYS[1], 'free', 'until', 'next', 'forget')
local free, held_until = tonumber(kept[1]) or 0, tonumber(kept[2]) or 0
local next_hold, forget_at = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
local interval, burst, horizon = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local far_horizon, wanted = tonumber(ARGV[4]), tonumber(ARGV[5])
local retry_after, stretch = ARGV[6], tonumber(ARGV[7])

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
    held_until = math.max(held_until, now + seconds * stretch)
  elseif now >= held_until then  -- else it answers a request that was under way already
    if now >= forget_at then
      next_hold = tonumber(ARGV[8])
    end
    held_until = now + next_hold * stretch
    next_hold = math.min(2 * next_hold, tonumber(ARGV[9]))
    forget_at = held_until + tonumber(ARGV[10])
  end
  save('until', format_time(held_until), 'next', format_time(next_hold),
       'forget', format_time(forget_at))
end

local immediate, paced, first = 0, 0, 0
if wanted > 0 and now >= held_until then
  -- Further ahead it can only be where Redis' clock was set back, or a slower rate was set.
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
SHA = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # as EVALSHA names it
