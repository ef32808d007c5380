-- What every call begins with: the clock, the quotas of this call, and exact arithmetic.
--
-- KEYS: the subject of each part of each ask, in order.
-- ARGV[1]: the quotas, each: rule B; three numbers d (see the file of the rule); tag I3.
-- ARGV[2]: the asks (see asks.lua).
-- ARGV[3]: the caller's clock in µs, or nothing for the server's.
--
-- All numbers are whole, and below 2^53, where doubles are exact. A level is three values, which are called a,
-- b and c: what they mean is the rule's. Times are in µs.

local call, pack, unpack = redis.pcall, struct.pack, struct.unpack
local fmod, sub, format, concat = math.fmod, string.sub, string.format, table.concat

-- The most that fits into six bytes: a larger debt is refused. Capacities and patience are below half of it.
local MOST = 2 ^ 48 - 1

-- The clock, and how many ms longer than needed a key lives. A caller's clock may lag.
local clock, margin = tonumber(ARGV[3]), 60000
local is_callers = clock ~= nil
if not is_callers then
  local time = redis.call('TIME')
  clock, margin = time[1] * 1000000 + time[2], 2
end

local rule_of, x, y, z, tag, last_quota = {}, {}, {}, {}, {}, -1
do
  local quotas, at, q = ARGV[1], 1, 0
  while at <= #quotas do
    rule_of[q], x[q], y[q], z[q], tag[q], at = unpack('<BdddI3', quotas, at)
    q, last_quota = q + 1, q
  end
end

-- The whole part of a * b / c, and the rest of the division. Each is below 2^49, and c is not 0.
local function muldiv(a, b, c)
  local product = a * b
  if product < 2 ^ 53 then
    local rest = fmod(product, c)
    return (product - rest) / c, rest
  end
  -- Bit by bit, beginning with the highest bit of a.
  local part = fmod(b, c)
  local whole, quotient, rest = (b - part) / c, 0, 0
  for bit = 48, 0, -1 do
    quotient, rest = quotient * 2, rest * 2
    if a >= 2 ^ bit then
      a, quotient, rest = a - 2 ^ bit, quotient + whole, rest + part
    end
    while rest >= c do
      quotient, rest = quotient + 1, rest - c
    end
  end
  return quotient, rest
end

local function muldiv_ceil(a, b, c)
  local quotient, rest = muldiv(a, b, c)
  if rest > 0 then quotient = quotient + 1 end
  if quotient > MOST then return MOST end
  return quotient
end

-- The rules, by their number.
local rules = {}
