-- The usual asks, quickly: one subject takes from token buckets, or is charged in any case. This is what the other files say of
-- them, in one piece, because a call must create every function anew. What is not usual is left to the other script: the
-- first ask whose subject is kept under another quota, or has something else kept, and all asks after it are answered
-- with 4, and nothing is done.
--
-- KEYS: a subject for each ask. ARGV[1] and ARGV[3] as in head.lua.
-- The text of a limit whose debt nobody waits for has 2^47 more in b (see token_bucket.lua). That is usual, too.
--
-- ARGV[2]: each ask: verb B (0: take, 3: consume), charges B, count d, patience d, the time after which nobody waits any
-- more d (0: never); each charge: quota B, cost dd.
--
-- The reply is that of asks.lua.

local call, pack, unpack, ceil = redis.pcall, struct.pack, struct.unpack, math.ceil
local format, concat = string.format, table.concat
local clock, margin = tonumber(ARGV[3]), 60000
local is_callers = clock ~= nil
if not is_callers then
  local time = redis.call('TIME')
  clock, margin = time[1] * 1000000 + time[2], 2
end

local speed, capacity, rest, tag = {}, {}, {}, {}
do
  local quotas, at, q, _ = ARGV[1], 1, 0
  while at <= #quotas do
    _, speed[q], capacity[q], rest[q], tag[q], at = unpack('<BdddI3', quotas, at)
    q = q + 1
  end
end

local asks, at, out = ARGV[2], 1, { pack('<d', clock) }
local old_a, old_b, new_a, new_b, flag, quota = {}, {}, {}, {}, {}, {}
local is_usual = true
for i = 1, #KEYS do
  local key, now, elapsed = KEYS[i], clock, 0
  local verb, charges, count, patience, nobody_after
  verb, charges, count, patience, nobody_after, at = unpack('<BBddd', asks, at)
  if not is_usual then
    out[#out + 1] = '\4'
    at = at + charges * 17
  elseif nobody_after > 0 and clock > nobody_after then
    out[#out + 1] = '\2'
    at = at + charges * 17
  else
    local text = call('GET', key)
    is_usual = not text or type(text) == 'string' and #text == 7 + 21 * charges
    if text and is_usual then
      elapsed = clock - unpack('<I7', text)
      if elapsed < 0 then
        -- A clock that was set back is not usual either.
        if is_callers then now = clock - elapsed else is_usual = false end
        elapsed = 0
      end
    end
    local passes, full = true, 0
    for j = 1, charges do
      local q, cost_a, cost_b
      q, cost_a, cost_b, at = unpack('<Bdd', asks, at)
      local a, b = 0, 0
      -- Whether the level is a debt, which nobody waits for.
      local is_owed = false
      if text and is_usual then
        local kept_capacity, kept_tag
        a, b, kept_capacity, kept_tag = unpack('<I6I6I6I3', text, 21 * j - 13)
        if b >= 140737488355328 then b, is_owed = b - 140737488355328, true end
        a = a - elapsed
        if a < 0 then
          a, b = 0, 0
        elseif kept_tag ~= tag[q] or kept_capacity ~= capacity[q] then
          is_usual = false
        end
      end
      quota[j], old_a[j], old_b[j], flag[j] = q, a, b, 0
      a, b = a + cost_a, b + cost_b
      if b >= speed[q] then a, b = a + 1, b - speed[q] end
      new_a[j], new_b[j] = a, b
      -- What is longer than its capacity by more than the patience is refused.
      local excess = a - capacity[q]
      if b > rest[q] then excess = excess + 1 end
      if excess > patience then passes = false end
      if verb == 3 and excess > 0 then
        -- A debt, which is usual if nobody waits.
        if is_owed or old_a[j] < capacity[q] or old_a[j] == capacity[q] and old_b[j] <= rest[q] then
          flag[j] = 140737488355328
        else
          is_usual = false
        end
      end
      if a >= 281474976710656 then is_usual = false end
      if b > 0 then a = a + 1 end
      if a > full then full = a end
    end
    if not is_usual then
      out[#out + 1] = '\4'
    elseif passes or verb == 3 then
      local texts, told = { pack('<I7', now) }, { pack('<BdBd', 0, count, 1, now) }
      for j = 1, charges do
        local q = quota[j]
        texts[j + 1] = pack('<I6I6I6I3', new_a[j], new_b[j] + flag[j], capacity[q], tag[q])
        told[j + 1] = pack('<ddd', new_a[j], new_b[j], 0)
      end
      local err = call('PSETEX', key, format('%.0f', ceil(full / 1000) + margin), concat(texts)).err
      out[#out + 1] = err and pack('<BI2', 3, #err) .. err or concat(told)
    else
      out[#out + 1] = pack('<BdBd', 1, 0, 0, now)
      for j = 1, charges do out[#out + 1] = pack('<ddd', old_a[j], old_b[j], 0) end
    end
  end
end
return concat(out)
