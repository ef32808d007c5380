-- The asks, one after the other. Each is decided by itself.
--
-- An ask: verb B, parts B, the length of the parts I4, count d, patience d, the time after which nobody waits any
-- more d (0: never). Each part: flags B (1: shadow), charges B. Each charge: quota B, flags B (1: costs nothing, 2: more
-- than the burst), cost dd, and if the verb takes a charge back, its receipt dd.
--
-- The reply: the clock d; for each ask what was done B and how often d; for each part whether it was changed B
-- and the time of that d; for each charge three numbers d, which are the rule's. If an ask had an error: 3 B, the
-- length I2, its text. After it was found that nobody waits: 2 B.

local TAKE, TAKE_UP_TO, LOOK, CONSUME, CREDIT, HAND_BACK, CANCEL, RESET = 0, 1, 2, 3, 4, 5, 6, 7
local DONE, REFUSED, EXPIRED, FAILED = 0, 1, 2, 3
local asks, out = ARGV[2], { pack('<d', clock) }

-- The charges of an ask: quota, flags, cost, receipt, level.
local quota, flags, cost_a, cost_b, when_a, when_b = {}, {}, {}, {}, {}, {}
local a, b, c = {}, {}, {}
-- Its parts: the first and the last charge, what is kept, the time, whether it is a shadow, how many times it passes.
local first, last, kept, times_of, shadow, passes = {}, {}, {}, {}, {}, {}

-- The windows answer in whole permits.
for number = 1, 3 do
  local rule = rules[number]
  if rule then
    function rule.fits(q, level_a, level_b, level_c, permits)
      return permits <= rule.room(q, level_a, level_b, level_c)
    end
    function rule.multiplied(q, permits, _, count)
      return permits * count, 0
    end
    function rule.times(q, level_a, level_b, level_c, permits, _, most)
      local room = rule.room(q, level_a, level_b, level_c)
      if room < permits then return 0 end
      return math.min(most, (room - fmod(room, permits)) / permits)
    end
  end
end

-- How many times one charge passes.
local function times(verb, j, count, patience)
  if flags[j] % 2 == 1 then return count end
  local q = quota[j]
  local rule = rules[rule_of[q]]
  if verb == TAKE_UP_TO then return rule.times(q, a[j], b[j], c[j], cost_a[j], cost_b[j], count) end
  if flags[j] < 2 and rule.fits(q, a[j], b[j], c[j], cost_a[j], cost_b[j], patience) then return count end
  return -1
end

-- Reads the level of a subject and the charges of its part, which begin at this place of the asks. Returns the next
-- place, or nothing and an error.
local function read(verb, p, key, count, patience, at)
  local text, now, elapsed, stepped_back = call('GET', key), clock, 0, 0
  if text then
    if type(text) == 'table' then return nil, text.err end
    if #text < 7 then return nil, 'TOLLGATE the key holds something else' end
    elapsed = clock - unpack('<I7', text)
    if elapsed < 0 then
      -- The clock has stepped back, or it is a caller's that lags behind another's.
      if is_callers then now = clock - elapsed else stepped_back = -elapsed end
      elapsed = 0
    end
  end
  local part, charges
  part, charges, at = unpack('<BB', asks, at)
  local j, place, passed = p > 1 and last[p - 1] or 0, 8, count
  kept[p], times_of[p], shadow[p], first[p], last[p] = text, now, part == 1, j + 1, j + charges
  for i = j + 1, j + charges do
    local q
    q, flags[i], cost_a[i], cost_b[i], at = unpack('<BBdd', asks, at)
    if verb == HAND_BACK or verb == CANCEL then
      when_a[i], when_b[i], at = unpack('<dd', asks, at)
    end
    quota[i] = q
    a[i], b[i], c[i], place = rules[rule_of[q]].read(text, place, q, now, elapsed, stepped_back)
    if not place then return nil, 'TOLLGATE the key holds something else' end
    if verb <= LOOK then
      local n = times(verb, i, count, patience)
      if n < passed then passed = n end
    end
  end
  if text and place ~= #text + 1 then return nil, 'TOLLGATE the key holds something else' end
  passes[p] = passed
  return at
end

-- Changes the levels of a part as the verb says, so many times, and keeps them until all are full again. Returns an error.
local function change(verb, p, key, count)
  local now, full, texts = times_of[p], 0, { pack('<I7', times_of[p]) }
  for j = first[p], last[p] do
    local q = quota[j]
    local rule = rules[rule_of[q]]
    local level_a, level_b, level_c, n_a, n_b = a[j], b[j], c[j], cost_a[j], cost_b[j]
    if verb <= CONSUME then
      if verb == TAKE_UP_TO then n_a, n_b = rule.multiplied(q, n_a, n_b, count) end
      level_a, level_b, level_c = rule.take(q, now, level_a, level_b, level_c, n_a, n_b)
    elseif verb == CREDIT then
      level_a, level_b, level_c = rule.give(q, now, level_a, level_b, level_c, n_a, n_b)
    elseif verb == RESET then
      level_a, level_b, level_c = rule.read(false, 0, q)
    else
      level_a, level_b, level_c =
        rule.undo(q, now, level_a, level_b, level_c, n_a, n_b, when_a[j], when_b[j], verb == CANCEL)
    end
    a[j], b[j], c[j] = level_a, level_b, level_c
    local full_after
    texts[#texts + 1], full_after = rule.write(q, now, level_a, level_b, level_c)
    if full_after > full then full = full_after end
  end
  local reply = call('PSETEX', key, format('%.0f', math.ceil(full / 1000) + margin), concat(texts))
  return reply.err
end

-- Does one ask, whose first part begins at this place of the asks, and whose keys follow key number k. Returns an error.
local function ask(verb, parts, count, patience, at, k)
  local passed = count
  for p = 1, parts do
    local err
    at, err = read(verb, p, KEYS[k + p], count, patience, at)
    if err then return err end
    if not shadow[p] and passes[p] < passed then passed = passes[p] end
  end
  local done = passed >= 0 and (verb ~= TAKE_UP_TO or passed > 0 or count == 0)
  local answer = { pack('<Bd', done and DONE or REFUSED, done and passed or 0) }
  for p = 1, parts do
    local changes
    if verb <= TAKE_UP_TO then
      changes = done and passed > 0 and passes[p] >= passed
    else
      -- What is not there is full already.
      changes = verb == CONSUME or verb > CONSUME and kept[p]
    end
    if changes then
      local err = change(verb, p, KEYS[k + p], passed)
      if err then return p == 1 and err or 'TOLLGATE partly done: ' .. err end
    end
    answer[#answer + 1] = pack('<Bd', changes and 1 or 0, times_of[p])
    for j = first[p], last[p] do
      local q = quota[j]
      answer[#answer + 1] =
        pack('<ddd', rules[rule_of[q]].tell(q, times_of[p], a[j], b[j], c[j], cost_a[j], changes or flags[j] % 2 == 1))
    end
  end
  out[#out + 1] = concat(answer)
end

do
  local at, k = 1, 0
  while at <= #asks do
    local verb, parts, length, count, patience, nobody_after
    verb, parts, length, count, patience, nobody_after, at = unpack('<BBI4ddd', asks, at)
    if nobody_after > 0 and clock > nobody_after then
      out[#out + 1] = pack('<B', EXPIRED)
    else
      local err = ask(verb, parts, count, patience, at, k)
      if err then out[#out + 1] = pack('<BI2', FAILED, #err) .. err end
    end
    at, k = at + length, k + parts
  end
end
return concat(out)
