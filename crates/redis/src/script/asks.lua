-- The asks, one after the other. Each is decided by itself.
--
-- An ask: verb B, parts B, whether a subject is in several parts B, the length of the parts I4, count d, patience d,
-- the time after which nobody waits any more d (0: never). Each part: flags B (1: shadow), charges B. Each charge:
-- quota B, flags B (1: costs nothing, 2: more than the burst), cost dd, and if the verb takes a charge back, its
-- receipt dd. The cost is that of all times, but for "up to so many times" that of one time.
--
-- The reply: the clock d; for each ask what was done B, and if that is 0 or 1, how many times d, for each part
-- whether it was charged B and the time of that d, and for each charge what its rule tells, ddd. If a subject is in
-- several parts, what its rule would have told before the charge follows, ddd. Where something went wrong with an ask:
-- 3 B, and the length I2 and the text of it.

local TAKE, TAKE_UP_TO, LOOK, CONSUME, CREDIT, HAND_BACK, CANCEL, RESET, RAISE = 0, 1, 2, 3, 4, 5, 6, 7, 8
local DONE, REFUSED, EXPIRED, FAILED = 0, 1, 2, 3
local FOREIGN = 'FOREIGN the text is not one of levels'
-- The place among the quotas for the one under which something is kept.
local KEPT = -1
local asks, out = ARGV[2], { pack('<d', clock) }

-- The charges of an ask: quota, flags, cost, receipt; level, how much is asked for, and what is told before.
local quota, flags, cost_a, cost_b, when_a, when_b = {}, {}, {}, {}, {}, {}
local a, b, c, asked, told_before = {}, {}, {}, {}, {}
-- Where the limit of a charge begins in the text that was loaded.
local place = {}
-- Its parts: the first and the last charge, whether it is a shadow, and the first part with the same subject.
local first, last, shadow, same = {}, {}, {}, {}
-- Of each such first part: what is kept, the time of the decision, the time since the last write, by how much the
-- clock has stepped back since, what is to be kept, and when that will be full.
local kept, time, elapsed, stepped_back, new, full = {}, {}, {}, {}, {}, {}
-- Whether a part was charged.
local charged = {}

-- The windows answer in whole permits.
for number = 1, 3 do
  local rule = rules[number]
  if rule then
    function rule.multiplied(q, permits, _, count)
      return permits * count, 0
    end
    function rule.raise(q, now, level_a, level_b, level_c, permits)
      local missing = permits - x[q] + rule.room(q, level_a, level_b, level_c)
      if missing <= 0 then return level_a, level_b, level_c end
      return rule.take(q, now, level_a, level_b, level_c, missing)
    end
    function rule.fits(q, level_a, level_b, level_c, permits)
      return permits <= rule.room(q, level_a, level_b, level_c)
    end
    function rule.times(q, level_a, level_b, level_c, permits, _, most)
      local room = rule.room(q, level_a, level_b, level_c)
      if room < permits then return 0 end
      return math.min(most, (room - fmod(room, permits)) / permits)
    end
  end
end

-- Reads what is kept of a subject, if no earlier part of the ask has. Returns an error.
local function fetch(p, key, by_key)
  if by_key then
    same[p] = by_key[key] or p
    by_key[key] = same[p]
    if same[p] < p then return end
  else
    same[p] = p
  end
  local text = call('GET', key)
  kept[p], time[p], elapsed[p], stepped_back[p], new[p] = text, clock, 0, 0, nil
  if text then
    if type(text) == 'table' then return text.err end
    if #text < 7 then return FOREIGN end
    local since = clock - unpack('<I7', text)
    if since >= 0 then
      elapsed[p] = since
    elseif is_callers then
      -- This caller's clock lags behind another's.
      time[p] = clock - since
    else
      stepped_back[p] = -since
    end
  end
end

-- Reads a part of the asks, which begins at this place. Returns the place behind it.
local function parse(verb, p, at)
  local part_flags, charges
  part_flags, charges, at = unpack('<BB', asks, at)
  local before = p > 1 and last[p - 1] or 0
  shadow[p], first[p], last[p] = part_flags == 1, before + 1, before + charges
  for j = before + 1, before + charges do
    quota[j], flags[j], cost_a[j], cost_b[j], at = unpack('<BBdd', asks, at)
    if verb == HAND_BACK or verb == CANCEL then
      when_a[j], when_b[j], at = unpack('<dd', asks, at)
    end
  end
  return at
end

-- Makes the levels of a part those of the kept text, or of the text that is to be kept. Returns whether it can.
local function load(p, is_new)
  local o = same[p]
  local text, now, at = kept[o], time[o], 8
  local since, back = elapsed[o], stepped_back[o]
  if is_new then text, since, back = new[o], 0, 0 end
  for j = first[p], last[p] do
    local q = quota[j]
    place[j] = at
    a[j], b[j], c[j], at = rules[rule_of[q]].read(text, at, q, now, since, back)
    if not at then return false end
  end
  return not text or at == #text + 1
end

-- Whether a part passes so many times. Notes how much is asked for.
local function judge(verb, p, count, patience, is_twice)
  local passes = true
  for j = first[p], last[p] do
    local q = quota[j]
    local rule, n_a, n_b = rules[rule_of[q]], cost_a[j], cost_b[j]
    if verb == TAKE_UP_TO then n_a, n_b = rule.multiplied(q, n_a, n_b, count) end
    asked[j] = n_a
    if is_twice then told_before[j] = pack('<ddd', rule.tell(q, time[same[p]], a[j], b[j], c[j], n_a, false)) end
    if flags[j] % 2 == 0 and (flags[j] >= 2 or not rule.fits(q, a[j], b[j], c[j], n_a, n_b, patience)) then
      passes = false
    end
  end
  return passes
end

-- A limit that a charge costs nothing stays as it is, also under the quota that it has: only time passes. Returns what
-- is to be kept, and the time until it is full.
local function untouched(p, j)
  local o = same[p]
  local text, since, back = kept[o], elapsed[o], stepped_back[o]
  if new[o] then text, since, back = new[o], 0, 0 end
  local q, rule = quota[j], rules[rule_of[quota[j]]]
  if text then
    q = KEPT
    x[q], y[q], tag[q] = rule.quota_of(text, place[j])
  end
  return rule.write(q, time[o], rule.read(text, place[j], q, time[o], since, back))
end

-- Changes the levels of a part as the verb says, so many times. Returns an error.
local function change(verb, p, count)
  local o = same[p]
  local now, longest, texts = time[o], 0, { pack('<I7', time[o]) }
  for j = first[p], last[p] do
    local q = quota[j]
    local rule, n_a, n_b = rules[rule_of[q]], cost_a[j], cost_b[j]
    local full_after
    if flags[j] % 2 == 1 and verb ~= RESET then
      texts[#texts + 1], full_after = untouched(p, j)
    else
      if verb == RESET then
        a[j], b[j], c[j] = rule.read(false, 0, q)
      elseif verb == RAISE then
        a[j], b[j], c[j] = rule.raise(q, now, a[j], b[j], c[j], n_a, n_b)
        if not a[j] then return 'DEBT' end
      elseif verb == CREDIT then
        a[j], b[j], c[j] = rule.give(q, now, a[j], b[j], c[j], n_a, n_b)
      elseif verb == HAND_BACK or verb == CANCEL then
        a[j], b[j], c[j] =
          rule.undo(q, now, a[j], b[j], c[j], n_a, n_b, when_a[j], when_b[j], verb == CANCEL)
      else
        if verb == TAKE_UP_TO then n_a, n_b = rule.multiplied(q, n_a, n_b, count) end
        local take = verb == CONSUME and rule.consume or rule.take
        a[j], b[j], c[j] = take(q, now, a[j], b[j], c[j], n_a, n_b)
        if not a[j] then return 'DEBT' end
      end
      texts[#texts + 1], full_after = rule.write(q, now, a[j], b[j], c[j])
    end
    if full_after > longest then longest = full_after end
  end
  new[o], full[o] = concat(texts), longest
end

-- Makes a part's subject what it is, from now on, if the server's clock was set back. Otherwise nothing would come
-- back to a subject that is refused until the clock has caught up.
local function rebase(p)
  load(p, false)
  local longest, texts = 0, { pack('<I7', time[p]) }
  for j = first[p], last[p] do
    local full_after
    texts[#texts + 1], full_after = untouched(p, j)
    if full_after > longest then longest = full_after end
  end
  new[p], full[p] = concat(texts), longest
end

-- Charges all parts so many times, or none: the enforced ones first, and then each shadow by itself. Returns whether
-- it did.
local function charge(verb, parts, count, patience, is_twice)
  local all_pass = true
  for round = 1, 2 do
    for p = 1, parts do
      if shadow[p] == (round == 2) then
        if new[same[p]] then load(p, true) end
        local passes = judge(verb, p, count, patience, is_twice)
        if round == 1 and not passes then all_pass = false end
        charged[p] = passes and all_pass
        -- What is taken always fits.
        if charged[p] and count > 0 then change(verb, p, count) end
      end
    end
  end
  return all_pass
end

-- Makes everything as it was before the charge.
local function undo_all(parts)
  for p = 1, parts do new[p] = nil end
  for p = 1, parts do load(p, false) end
end

-- Charges all parts as many times as there are permits for. Returns whether it did, and how many times.
local function charge_up_to(parts, count, is_twice)
  local most = count
  for p = 1, parts do
    for j = first[p], shadow[p] and 0 or last[p] do
      if flags[j] % 2 == 0 then
        local q = quota[j]
        most = rules[rule_of[q]].times(q, a[j], b[j], c[j], cost_a[j], cost_b[j], most)
      end
    end
  end
  if most < 1 then most = 1 end
  if charge(TAKE_UP_TO, parts, most, 0, is_twice) then return true, most end
  if most == 1 then return false, 0 end
  -- Several parts charge the same subject, so together they get fewer.
  local fits, too_many = 0, most
  while too_many - fits > 1 do
    local middle = fits + math.floor((too_many - fits) / 2)
    undo_all(parts)
    if charge(TAKE_UP_TO, parts, middle, 0, is_twice) then fits = middle else too_many = middle end
  end
  undo_all(parts)
  local done = charge(TAKE_UP_TO, parts, math.max(fits, 1), 0, is_twice)
  return done, done and fits or 0
end

-- Does one ask, whose first part begins at this place of the asks, and whose keys follow key number k. Returns an
-- error.
local function ask(verb, parts, is_twice, count, patience, at, k)
  local by_key = is_twice and {}
  for p = 1, parts do
    local err = fetch(p, KEYS[k + p], by_key)
    if err then return err end
    at = parse(verb, p, at)
    if not load(p, false) then return FOREIGN end
  end
  local done, times = true, count
  if verb == TAKE_UP_TO then
    done, times = charge_up_to(parts, count, is_twice)
  elseif verb <= LOOK then
    done = charge(verb, parts, count, patience, is_twice)
  else
    for p = 1, parts do
      if new[same[p]] then load(p, true) end
      judge(verb, p, count, 0, is_twice)
      local err = (count > 0 or verb == RESET) and change(verb, p, count)
      if err then return err end
      charged[p] = true
    end
  end
  local answer = { pack('<Bd', done and DONE or REFUSED, done and times or 0) }
  for p = 1, parts do
    -- A refused part may have been charged before another part refused.
    if is_twice and new[same[p]] or charged[p] and not done then load(p, done) end
    local is_charged = charged[p] and done
    answer[#answer + 1] = pack('<Bd', is_charged and 1 or 0, time[same[p]])
    for j = first[p], last[p] do
      local q = quota[j]
      local is_over = is_charged or flags[j] % 2 == 1
      answer[#answer + 1] =
        pack('<ddd', rules[rule_of[q]].tell(q, time[same[p]], a[j], b[j], c[j], asked[j], is_over))
      if is_twice then answer[#answer + 1] = told_before[j] end
    end
  end
  if verb ~= LOOK then
    local is_written = false
    for p = 1, parts do
      if not done then new[p] = nil end
      if same[p] == p and stepped_back[p] > 0 and not new[p] then rebase(p) end
      -- What gives permits back to a subject of which nothing is kept changes nothing.
      if same[p] == p and new[p] and (kept[p] or verb <= CONSUME or verb == RAISE) then
        local live = format('%.0f', math.ceil(full[p] / 1000) + margin)
        local err = call('PSETEX', KEYS[k + p], live, new[p]).err
        -- A refusal stands, whatever else is written.
        if err and done then return is_written and 'PARTLY ' .. err or err end
        is_written = true
      end
    end
  end
  out[#out + 1] = concat(answer)
end

do
  local at, k = 1, 0
  while at <= #asks do
    local verb, parts, is_twice, length, count, patience, nobody_after
    verb, parts, is_twice, length, count, patience, nobody_after, at = unpack('<BBBI4ddd', asks, at)
    if nobody_after > 0 and clock > nobody_after then
      out[#out + 1] = pack('<B', EXPIRED)
    else
      local err = ask(verb, parts, is_twice == 1, count, patience, at, k)
      if err then out[#out + 1] = pack('<BI2', FAILED, #err) .. err end
    end
    at, k = at + length, k + parts
  end
end
return concat(out)
