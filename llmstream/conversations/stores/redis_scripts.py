"""The scripts of RedisStore. Redis runs each as one step, so all of it is done or nothing.

A conversation is one hash, so that Redis evicts or expires all of it or nothing:

    data                        its record, as JSON
    count                       how many turns there are
    0, 1, 2 …                   the turns, as JSON, by position
    unfinished                  the id of the last turn, unless that is complete
    size, used                  its bytes, and the server's time of its last use in µs
    lease, seconds, beat, seen  the lease: who has it, its length in ms, a number that each renewal
                                raises, and when another first asked for it since then

KEYS[1] is that hash, ARGV[1] its TTL in ms (0: none). redis-py sends a script again where the
connection broke before the reply, so each does the same the second time.

**Leases and clocks.** Redis has the time of day alone, and that jumps. So a lease isn't given a
moment at which it ends. Who asks for a lease that another holds leaves a mark (`seen`), a renewal
wipes it away, and the lease is taken over once a mark is as old as the lease is long. A jump of the
server's clock between the mark and the next question is noticed by the process that left it, since
that one has watched the mark by a clock of its own (`ARGV[5]`).
"""

_KEEP = """
local function keep()
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'used', string.format('%.0f', time[1] * 1000000 + time[2]))
  if ARGV[1] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
end
"""
# ARGV: 2 the record, 3 the id of the last turn unless it is complete, 4… the turns
ADD = (
    _KEEP
    + """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'data', ARGV[2], 'count', #ARGV - 3, 'unfinished', ARGV[3])
local size = #ARGV[2]
for i = 4, #ARGV do
  redis.call('HSET', KEYS[1], i - 4, ARGV[i])
  size = size + #ARGV[i]
end
redis.call('HSET', KEYS[1], 'size', size)
keep()
return size
"""
)
# ARGV: 2 the new lease, 3 its length, 4 the lease and beat that the asker has watched, 5 for how long.
# Gives everything; or the rest of another's lease in ms, and that lease and its beat; or nothing.
ACQUIRE = (
    _KEEP
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local kept = redis.call('HMGET', KEYS[1], 'lease', 'seconds', 'beat', 'seen')
if kept[1] and kept[1] ~= ARGV[2] then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local length, seen = tonumber(kept[2]), tonumber(kept[4] or now)
  if not kept[4] or seen > now then
    seen = now
    redis.call('HSET', KEYS[1], 'seen', string.format('%.0f', now))
  end
  local stood, held = now - seen, kept[1] .. ':' .. kept[3]
  if ARGV[4] == held then stood = math.min(stood, tonumber(ARGV[5])) end
  if stood < length then return {length - stood, held} end
end
redis.call('HSET', KEYS[1], 'lease', ARGV[2], 'seconds', ARGV[3], 'beat', 0)
redis.call('HDEL', KEYS[1], 'seen')
keep()
return redis.call('HGETALL', KEYS[1])
"""
)
# ARGV: 2 the lease, 3 its length
RENEW = (
    _KEEP
    + """
if redis.call('HGET', KEYS[1], 'lease') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'seconds', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'beat', 1)
redis.call('HDEL', KEYS[1], 'seen')
keep()
return 1
"""
)
# ARGV: 2 the lease, 3 the position, 4 the turn, 5 its id, 6 the same unless it is complete, 7 release?
# Gives the bytes of the conversation, or 0 where nothing was stored.
WRITE = (
    _KEEP
    + """
local kept = redis.call('HMGET', KEYS[1], 'count', 'lease', ARGV[3], 'unfinished', 'size')
if not kept[1] then return 0 end
local size = tonumber(kept[5] or 0)
local count, position = tonumber(kept[1]), tonumber(ARGV[3])
if kept[2] ~= ARGV[2] then
  if kept[3] == ARGV[4] then return math.max(size, 1) end
  if kept[2] then return 0 end
  local follows = position == count
  local finishes = position == count - 1 and kept[4] == ARGV[5]
  if not follows and not finishes then return 0 end
end
if position > count then return redis.error_reply('MISSING turns before this one') end
size = size + #ARGV[4] - #(kept[3] or '')
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4], 'size', size)
if position == count then redis.call('HSET', KEYS[1], 'count', count + 1) end
if position >= count - 1 then redis.call('HSET', KEYS[1], 'unfinished', ARGV[6]) end
if ARGV[7] == '1' then redis.call('HDEL', KEYS[1], 'lease', 'seen') end
keep()
return size
"""
)
# ARGV: 2 the lease
RELEASE = """
if redis.call('HGET', KEYS[1], 'lease') == ARGV[2] then redis.call('HDEL', KEYS[1], 'lease', 'seen') end
"""
# All of one kind: KEYS 1 a sorted set of their ids by last use and, where bytes count, 2 a hash of them, 3 their sum.
# ARGV: 1 the TTL in ms (0: none), 2 the most ids and 3 the most bytes (-1: no limit), 4 an id that is used now, or
# nothing, 5 its bytes, 6… ids that go. Forgets those that the server has forgotten by now.
# Gives nothing, or, with nothing changed, the number and the bytes that would be too much.
BOOK = """
local function size_of(id)
  return KEYS[2] and tonumber(redis.call('HGET', KEYS[2], id) or 0) or 0
end
local function drop(id)
  if KEYS[2] then
    redis.call('DECRBY', KEYS[3], size_of(id))
    redis.call('HDEL', KEYS[2], id)
  end
  redis.call('ZREM', KEYS[1], id)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '0' then
  local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[1]))
  for _, id in ipairs(old) do drop(id) end
end
local new, bytes = ARGV[4], tonumber(ARGV[5])
if new ~= '' then
  local number = redis.call('ZCARD', KEYS[1]) + 1
  local total = (KEYS[3] and tonumber(redis.call('GET', KEYS[3]) or 0) or 0) + bytes
  local seen = {}
  for i = 4, #ARGV do
    local id = ARGV[i]
    if i ~= 5 and not seen[id] and redis.call('ZSCORE', KEYS[1], id) then
      seen[id] = true
      number, total = number - 1, total - size_of(id)
    end
  end
  local most, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
  if (most >= 0 and number > most) or (most_bytes >= 0 and total > most_bytes) then
    return {number, total}
  end
end
for i = 6, #ARGV do drop(ARGV[i]) end
if new ~= '' then
  drop(new)
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), new)
  if KEYS[2] then
    redis.call('HSET', KEYS[2], new, bytes)
    redis.call('INCRBY', KEYS[3], bytes)
  end
end
return false
"""
