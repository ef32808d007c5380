-- One decision of one key by the generic cell rate algorithm (GCRA), as Redis libraries commonly do it: the state is the
-- theoretical arrival time as text.
--
-- KEYS[1]: the key. ARGV: the burst, the permits in a period, the period in seconds, the cost.
local burst, rate, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local interval = period / rate
local time = redis.call('TIME')
-- Seconds since 2017, so that a double has room for µs.
local now = (time[1] - 1483228800) + time[2] / 1000000
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
if arrival < now then arrival = now end
local new_arrival = arrival + interval * cost
local remaining = (now - (new_arrival - interval * burst)) / interval
if remaining < 0 then
  return { 0, 0, tostring(-remaining * interval), tostring(arrival - now) }
end
local reset_after = new_arrival - now
if reset_after > 0 then redis.call('SET', KEYS[1], new_arrival, 'EX', math.ceil(reset_after)) end
return { cost, math.floor(remaining), '-1', tostring(reset_after) }
