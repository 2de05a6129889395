"""The atomic steps of a job, as Lua scripts: a process may be killed between any two of them.

KEYS[1] is the job's hash; all other keys begin with its name. A chunk is known by its number, which
is its place in the input. Each script may run twice with the same arguments, and counts once: a
process that loses the connection does not know whether the script has run.

In the hash, `fed` and `fed_ids` count what was submitted. The names and formats of keys and fields
belong to `FORMAT_VERSION`.
"""

# version, chunk_size -> version and chunk_size of the job, which is created if needed.
CREATE = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'chunk_size', ARGV[2], 'digest', '',
             'fed', 0, 'fed_ids', 0, 'complete', 0, 'done', 0, 'done_ids', 0,
             'seedless', 0, 'dead_ids', 0, 'collected_ids', 0, 'waiting', 0)
end
return redis.call('HMGET', KEYS[1], 'version', 'chunk_size')
"""

# chunks before, chunks now, ids now, their digest -> 1 if the job has these values now.
SUBMIT = """
local fed = redis.call('HGET', KEYS[1], 'fed')
if fed == ARGV[1] then
  redis.call('HSET', KEYS[1], 'fed', ARGV[2], 'fed_ids', ARGV[3], 'digest', ARGV[4])
  return 1
end
return (fed == ARGV[2] and redis.call('HGET', KEYS[1], 'digest') == ARGV[4]) and 1 or 0
"""

# chunks -> 1 if the job has so many; then it is complete.
COMPLETE = """
if redis.call('HGET', KEYS[1], 'fed') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'complete', 1)
return 1
"""

# chunk -> {how often it was delivered, including this time, or 0 if it is done; how often all of
# its ids were looked up; the lines that it has so far, compressed}
BEGIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0, ''} end
if redis.call('GETBIT', KEYS[1] .. ':collected', ARGV[1]) == 1
    or redis.call('HEXISTS', KEYS[1] .. ':parts', ARGV[1]) == 1 then
  return {0, 0, ''}
end
redis.call('SADD', KEYS[1] .. ':running', ARGV[1])
local times = redis.call('HINCRBY', KEYS[1] .. ':deliveries', ARGV[1], 1)
return {times, tonumber(redis.call('HGET', KEYS[1] .. ':asks', ARGV[1]) or 0),
  redis.call('HGET', KEYS[1] .. ':partial', ARGV[1]) or ''}
"""

# chunk, its part, number of ids, of these without a seed -> 1 if it had no part before.
FINISH = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SREM', KEYS[1] .. ':running', ARGV[1])
redis.call('HDEL', KEYS[1] .. ':deliveries', ARGV[1])
redis.call('HDEL', KEYS[1] .. ':partial', ARGV[1])
redis.call('HDEL', KEYS[1] .. ':asks', ARGV[1])
if redis.call('GETBIT', KEYS[1] .. ':collected', ARGV[1]) == 1
    or redis.call('HSETNX', KEYS[1] .. ':parts', ARGV[1], ARGV[2]) == 0 then
  return 0
end
if redis.call('HDEL', KEYS[1] .. ':dead', ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'dead_ids', -ARGV[3])
end
redis.call('HINCRBY', KEYS[1], 'done', 1)
redis.call('HINCRBY', KEYS[1], 'done_ids', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'seedless', ARGV[4])
redis.call('HINCRBY', KEYS[1], 'waiting', #ARGV[2])
local second = redis.call('TIME')[1]
local pace = KEYS[1] .. ':pace:' .. (second - second % 5)
redis.call('INCRBY', pace, ARGV[3])
redis.call('EXPIRE', pace, 120)
return 1
"""

# chunk, the lines that it has so far, what to add to its deliveries, what to add to its lookups
# -> 1 if it is not done yet.
RELEASE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SREM', KEYS[1] .. ':running', ARGV[1])
if redis.call('GETBIT', KEYS[1] .. ':collected', ARGV[1]) == 1
    or redis.call('HEXISTS', KEYS[1] .. ':parts', ARGV[1]) == 1 then
  redis.call('HDEL', KEYS[1] .. ':deliveries', ARGV[1])
  return 0
end
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1] .. ':partial', ARGV[1], ARGV[2]) end
redis.call('HINCRBY', KEYS[1] .. ':deliveries', ARGV[1], ARGV[3])
redis.call('HINCRBY', KEYS[1] .. ':asks', ARGV[1], ARGV[4])
return 1
"""

# chunk, its ids as JSON, number of ids -> 1
MARK_DEAD = """
redis.call('SREM', KEYS[1] .. ':running', ARGV[1])
redis.call('HDEL', KEYS[1] .. ':deliveries', ARGV[1])
if redis.call('HSETNX', KEYS[1] .. ':dead', ARGV[1], ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'dead_ids', ARGV[3])
end
return 1
"""

# chunk, number of ids -> 1; the collector has stored its part, which is deleted.
COLLECT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('SETBIT', KEYS[1] .. ':collected', ARGV[1], 1) == 0 then
  redis.call('HINCRBY', KEYS[1], 'collected_ids', ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'waiting', -redis.call('HSTRLEN', KEYS[1] .. ':parts', ARGV[1]))
  redis.call('HDEL', KEYS[1] .. ':parts', ARGV[1])
end
return 1
"""

# worker, milliseconds that it is counted (0: it has left) -> the state of the job.
STATE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local workers = KEYS[1] .. ':workers'
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
if ARGV[1] ~= '' and ARGV[2] ~= '0' then
  redis.call('ZADD', workers, now + ARGV[2], ARGV[1])
  redis.call('PEXPIRE', workers, ARGV[2])
end
if ARGV[1] ~= '' and ARGV[2] == '0' then redis.call('ZREM', workers, ARGV[1]) end
local ids, since, second = 0, now, time[1] - time[1] % 5
for back = 0, 30, 5 do
  local found = redis.call('GET', KEYS[1] .. ':pace:' .. (second - back))
  if found then ids, since = ids + found, (second - back) * 1000 end
end
local found = redis.call('HMGET', KEYS[1], 'version', 'chunk_size', 'digest', 'fed', 'fed_ids',
  'complete', 'done', 'done_ids', 'seedless', 'dead_ids', 'collected_ids', 'waiting')
table.insert(found, redis.call('HLEN', KEYS[1] .. ':dead'))
table.insert(found, redis.call('SCARD', KEYS[1] .. ':running'))
table.insert(found, redis.call('ZCARD', workers))
table.insert(found, ids)
table.insert(found, now - since)
return found
"""

# owner, milliseconds -> 1 if this owner has the lock now.
LOCK = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# owner -> 1
UNLOCK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""

# chunk, number of ids -> 1
UNMARK_DEAD = """
if redis.call('HDEL', KEYS[1] .. ':dead', ARGV[1]) == 1 then
  redis.call('HINCRBY', KEYS[1], 'dead_ids', -ARGV[2])
end
return 1
"""
