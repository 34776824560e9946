-- Takes from several keys, all or nothing, by the arithmetic of `policy::limit`.
--
-- ARGV: seconds and nanoseconds of the present, seconds -1 for this server's own;
-- then for each key six numbers: kind, a, b, c, cost, want.
--   0 pace:  a interval in ns, b burst; up to `want` units are granted, `cost` at least
--   1 quota: a units, b end of the period in s
--   2 looks: a ratio, b floor, c window in ns
--   3 earn:  c window in ns, cost bookings
--   4 raise: a units, b end of the period in s; never refused
-- Times ahead of the present are below 2^50 ns, so doubles are exact.
--
-- Answers 0 and then for each key granted, remaining and reset in ns; or the place of
-- the key that refuses with remaining, reset and retry in ns. Nothing is written then.
local s, n = tonumber(ARGV[1]), tonumber(ARGV[2])
if s < 0 then
  local time = redis.call('TIME')
  s, n = tonumber(time[1]), tonumber(time[2]) * 1000
end

-- How far a stored moment is ahead of the present.
local function ahead_of(text)
  if not text then return 0 end
  local ts, tn = string.match(text, '^(%d+) (%d+)$')
  return math.max((tonumber(ts) - s) * 1e9 + (tonumber(tn) - n), 0)
end

-- The moment so far ahead.
local function moment(ahead)
  local total = n + ahead
  return string.format('%d %d', s + math.floor(total / 1e9), total % 1e9)
end

-- How long a key is kept that is of use for so long: a minute more, since clocks of
-- nodes may differ.
local function keep(ns)
  return math.ceil(ns / 1e6) + 60000
end

local answer, writes = { 0 }, {}
for i, key in ipairs(KEYS) do
  local at = 3 + (i - 1) * 6
  local kind, a, b, c = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local cost, want = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local granted, remaining, reset
  if kind == 0 then
    local ahead = ahead_of(redis.call('GET', key))
    local room = math.max(a * b - ahead, 0)
    local units = (room - room % a) / a
    if units < cost then
      return { i, units, ahead, cost * a - room }
    end
    granted = math.min(want, units)
    ahead = ahead + granted * a
    remaining, reset = units - granted, ahead
    if granted > 0 then
      writes[i] = { 'SET', key, moment(ahead), 'PX', keep(ahead) }
    end
  elseif kind == 1 then
    local used = tonumber(redis.call('GET', key) or '0')
    local left = math.max(a - used, 0)
    reset = math.max((b - s) * 1e9 - n, 0)
    if cost > left then
      return { i, left, reset, math.max(reset, 1) }
    end
    granted, remaining = cost, left - cost
    writes[i] = { 'SET', key, string.format('%d', used + cost), 'EXAT', b + 3600 }
  elseif kind == 4 then
    local used = tonumber(redis.call('GET', key) or '0')
    if used < a then
      writes[i] = { 'SET', key, string.format('%d', a), 'EXAT', b + 3600 }
    end
    granted, remaining, reset = 0, 0, 0
  else
    local found = redis.call('HMGET', key, 'until', 'looks', 'books')
    local left = ahead_of(found[1])
    local looks, books, ends = 0, 0, nil
    if left > 0 then
      looks, books, ends = tonumber(found[2]), tonumber(found[3]), found[1]
    else
      left, ends = c, moment(c)
    end
    if kind == 2 then
      local most = a * books + b
      if looks + cost > most then
        return { i, math.max(most - looks, 0), left, math.max(left, 1) }
      end
      looks = looks + cost
      granted, remaining, reset = cost, most - looks, left
    else
      books = books + cost
      granted, remaining, reset = 0, 0, left
    end
    writes[i] = { 'HSET', key, 'until', ends, 'looks', string.format('%d', looks), 'books', string.format('%d', books), keep = keep(left) }
  end
  answer[#answer + 1] = granted
  answer[#answer + 1] = remaining
  answer[#answer + 1] = reset
end
for i, key in ipairs(KEYS) do
  local write = writes[i]
  if write then
    redis.call(unpack(write))
    if write.keep then
      redis.call('PEXPIRE', key, write.keep)
    end
  end
end
return answer
