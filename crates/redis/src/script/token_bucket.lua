-- The token bucket. Its level is the time until it is full: a µs, and b units. A µs has x units, where x / cost is
-- the rate in lowest terms, so nothing is ever rounded. The capacity is y µs and z units. The cost of a charge and
-- its receipt (the time at which the bucket was to be full after the charge) are such times, too.
--
--
-- A receipt is the time at which the bucket would be full after the charge if nothing had ever been given back, V. It
-- differs from the level only for a while after something was given back. Then c is a table: V as µs and units from now
-- on, and the time in µs from now on up to which receipts are void, because the quota has changed since. Otherwise c is 0.
--
-- Kept: a I6, b I6, y I6, tag I3; if c is a table, y is 2^47 more, and the three numbers follow, each I6.
do
  local bucket = {}
  rules[0] = bucket

  local function plus(q, a, b, more_a, more_b)
    a, b = a + more_a, b + more_b
    if b >= x[q] then a, b = a + 1, b - x[q] end
    return a, b
  end

  -- Not below 0.
  local function minus(q, a, b, less_a, less_b)
    a, b = a - less_a, b - less_b
    if b < 0 then a, b = a - 1, b + x[q] end
    if a < 0 then return 0, 0 end
    return a, b
  end

  -- V, which is never before the time at which the bucket will be full.
  local function charged_until(a, b, c)
    if c ~= 0 and (c[1] > a or c[1] == a and c[2] > b) then return c[1], c[2] end
    return a, b
  end

  -- V and the time of void receipts, as far as they say more than the level.
  local function remember(a, b, until_a, until_b, void)
    if void <= 0 and (until_a < a or until_a == a and until_b <= b) then return 0 end
    -- So far ahead, receipts are not told apart any more.
    if until_a > MOST then until_a, until_b, void = MOST, 0, MOST end
    return { until_a, until_b, void }
  end

  local function void_of(c)
    return c ~= 0 and c[3] or 0
  end

  -- The same share of another capacity, rounded up. Where all are whole µs, that is exact. Otherwise it is at most two µs
  -- more, if the quota that was replaced is known; if it is not, what it leaves below a µs is rounded up first.
  local function carried_over(q, a, b, capacity, written)
    local old_x, old_z
    for o = 0, last_quota do
      if rule_of[o] == 0 and y[o] == capacity and tag[o] == written then old_x, old_z = x[o], z[o] end
    end
    if not old_x then
      if b > 0 then a, b = a + 1, 0 end
      if capacity < 1 then capacity = 1 end
      old_x, old_z = 1, 0
    end
    if b == 0 and old_z == 0 and z[q] == 0 then
      local rest
      a, rest = muldiv(a, y[q], capacity)
      a, b = plus(q, a, 0, 0, muldiv_ceil(rest, x[q], capacity))
    else
      -- The error of this is below an eighth of a µs.
      a, b = math.ceil((a + b / old_x) * (y[q] + z[q] / x[q]) / (capacity + old_z / old_x) + 0.125), 0
    end
    if a > MOST then return MOST, 0 end
    return a, b
  end

  function bucket.read(text, at, q, now, elapsed)
    if not text then return 0, 0, 0, at end
    if #text < at + 20 then return end
    local a, b, capacity, written
    a, b, capacity, written, at = unpack('<I6I6I6I3', text, at)
    local c, until_a, until_b, void = 0, a, b, 0
    if capacity >= 2 ^ 47 then
      if #text < at + 17 then return end
      capacity = capacity - 2 ^ 47
      until_a, until_b, void, at = unpack('<I6I6I6', text, at)
    end
    a, until_a, void = a - elapsed, until_a - elapsed, void - elapsed
    if a < 0 then a, b = 0, 0 end
    if until_a < 0 then until_a, until_b = 0, 0 end
    if written ~= tag[q] or capacity ~= y[q] then
      -- Until now, V was counted in other units.
      if until_b > 0 then until_a = until_a + 1 end
      if until_a > void then void = until_a end
      if a > 0 or b > 0 then a, b = carried_over(q, a, b, capacity, written) end
      until_a, until_b = charged_until(a, b, { void, 0 })
    end
    return a, b, remember(a, b, until_a, until_b, void), at
  end

  -- The quota under which a limit is kept, as far as it is known.
  function bucket.quota_of(text, at)
    local capacity, written = unpack('<I6I3', text, at + 12)
    return 1, capacity % 2 ^ 47, written
  end

  -- Whether the charge passes at the latest after this time.
  function bucket.fits(q, a, b, c, cost_a, cost_b, patience)
    a, b = plus(q, a, b, cost_a, cost_b)
    a = a - y[q]
    if b > z[q] then a = a + 1 end
    return a <= patience
  end

  function bucket.multiplied(q, cost_a, cost_b, count)
    local more, rest = muldiv(cost_b, count, x[q])
    return cost_a * count + more, rest
  end

  -- How many times the charge passes now: what a division that may round says, put right.
  function bucket.times(q, a, b, c, cost_a, cost_b, most)
    local room, cost = y[q] - a + (z[q] - b) / x[q], cost_a + cost_b / x[q]
    local times = math.max(math.min(math.floor(room / cost) + 1, most), 0)
    while times > 0 do
      local all_a, all_b = bucket.multiplied(q, cost_a, cost_b, times)
      if bucket.fits(q, a, b, c, all_a, all_b, 0) then break end
      times = times - 1
    end
    return times
  end

  function bucket.take(q, now, a, b, c, cost_a, cost_b)
    if c ~= 0 then
      local until_a, until_b = charged_until(a, b, c)
      until_a, until_b = plus(q, until_a, until_b, cost_a, cost_b)
      a, b = plus(q, a, b, cost_a, cost_b)
      c = remember(a, b, until_a, until_b, void_of(c))
    else
      a, b = plus(q, a, b, cost_a, cost_b)
    end
    if a > MOST then return end
    return a, b, c
  end

  function bucket.give(q, now, a, b, c, cost_a, cost_b)
    local until_a, until_b = charged_until(a, b, c)
    a, b = minus(q, a, b, cost_a, cost_b)
    return a, b, remember(a, b, until_a, until_b, void_of(c))
  end

  local function least(a, b, other_a, other_b)
    if other_a < a or other_a == a and other_b < b then return other_a, other_b end
    return a, b
  end

  -- Gives back at most what is in use less what was taken since, which is at most V less the receipt. If the charge is
  -- cancelled, or others have taken permits for later, what was taken behind it stays taken. Also returns the receipt of
  -- the rest in whole µs and 1, or 0 if it is the same.
  function bucket.undo(q, now, a, b, c, cost_a, cost_b, when_a, when_b, is_cancelled, tells_charges)
    local until_a, until_b = charged_until(a, b, c)
    local void = void_of(c)
    if void > 0 and when_a <= now + void then return a, b, c, 0 end
    -- If nobody took permits since, it is as if fewer had been charged.
    local is_last = tells_charges and now + until_a == when_a
    local behind_a, behind_b = minus(q, now + until_a, until_b, when_a, when_b)
    if is_last then behind_a, behind_b = 0, 0 end
    local given_a, given_b = least(cost_a, cost_b, minus(q, a, b, behind_a, behind_b))
    if is_cancelled or until_a > y[q] or until_a == y[q] and until_b > z[q] then
      given_a, given_b = least(given_a, given_b, minus(q, cost_a, cost_b, behind_a, behind_b))
    end
    if given_a == 0 and given_b == 0 then return a, b, c, 0 end
    a, b = minus(q, a, b, given_a, given_b)
    local rest = 0
    if is_last then
      until_a, until_b = minus(q, until_a, until_b, given_a, given_b)
      rest = now + until_a + 1
    end
    return a, b, remember(a, b, until_a, until_b, void), rest
  end

  -- The kept form, and the time until the bucket is full and no receipt is of any use.
  function bucket.write(q, now, a, b, c)
    if c == 0 then return pack('<I6I6I6I3', a, b, y[q], tag[q]), b > 0 and a + 1 or a end
    local longest = math.max(a, c[1]) + 1
    if c[3] > longest then longest = c[3] end
    return pack('<I6I6I6I3I6I6I6', a, b, y[q] + 2 ^ 47, tag[q], c[1], c[2], math.max(c[3], 0)), longest
  end

  -- The level; and if V differs, its whole µs and 1.
  function bucket.tell(q, now, a, b, c)
    return a, b, c ~= 0 and charged_until(a, b, c) + 1 or 0
  end
end
