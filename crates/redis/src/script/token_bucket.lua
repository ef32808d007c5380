-- The token bucket. Its level is the time until it is full: a µs, and b units. A µs has x units, where x / cost is
-- the rate in lowest terms, so nothing is ever rounded. The capacity is y µs and z units. The cost of a charge is
-- such a time, too.
--
-- c is a table of two values, which is never changed. The first is how many µs later the bucket would be full if
-- nothing had ever been given back, rounded up. The receipt of a charge is that later time.
-- `algorithm/greedy/shared_limits.rs` of the core says why. The second is for how many µs from now on somebody may
-- wait for permits that were taken for later, rounded up. If the first is 0, and the second is what the level is above
-- the capacity, c is 0 instead.
--
-- Kept: a I6, b I6, y I6, tag I3, and the values of c I6I6. They are left out if c is 0, and if both are 0. In the
-- latter case, which is that of a debt, b has 2^47 more; if they are kept, y has.
do
  local bucket = {}
  rules[0] = bucket

  local FLAG = 2 ^ 47

  local function rounded_up(a, b)
    return b > 0 and a + 1 or a
  end

  -- By how many µs a level is above the capacity, rounded up, if it is.
  local function above(q, a, b)
    a = a - y[q]
    if b > z[q] then a = a + 1 end
    return a > 0 and a or 0
  end

  -- The two values of c.
  local function values(q, a, b, c)
    if c == 0 then return 0, above(q, a, b) end
    return c[1], c[2]
  end

  -- The c with such values.
  local function remembered(q, a, b, later, promised)
    if later == 0 and promised == above(q, a, b) then return 0 end
    return { later, promised }
  end

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
    local later, promised = 0, nil
    a, b, capacity, written, at = unpack('<I6I6I6I3', text, at)
    if capacity >= FLAG then
      if #text < at + 11 then return end
      capacity = capacity - FLAG
      later, promised, at = unpack('<I6I6', text, at)
      promised = math.max(promised - elapsed, 0)
    elseif b >= FLAG then
      b, promised = b - FLAG, 0
    end
    a = a - elapsed
    if a < 0 then
      later = later + rounded_up(a, b)
      if later < 0 then later = 0 end
      a, b = 0, 0
    end
    if written ~= tag[q] or capacity ~= y[q] then
      -- Who waits was told a time, and that stands. If the level tells that time, it tells a µs too much where the old
      -- capacity was no whole number of them.
      if not promised then promised = math.max(rounded_up(a, b) - capacity, 0) end
      -- All receipts of the old quota are now too early to give anything back.
      later = later + rounded_up(a, b)
      if a > 0 or b > 0 then a, b = carried_over(q, a, b, capacity, written) end
    end
    if later > MOST then later = MOST end
    local is_something = promised and (later > 0 or a > 0 or b > 0)
    return a, b, is_something and { later, promised } or 0, at
  end

  -- The quota under which a limit is kept, as far as it is known.
  function bucket.quota_of(text, at)
    local capacity, written = unpack('<I6I3', text, at + 12)
    return 1, capacity % FLAG, written
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

  -- Now or for later.
  function bucket.take(q, now, a, b, c, cost_a, cost_b)
    a, b = plus(q, a, b, cost_a, cost_b)
    if a > MOST then return end
    if c ~= 0 then c = remembered(q, a, b, c[1], math.max(c[2], above(q, a, b))) end
    return a, b, c
  end

  -- What is in use already. Nobody waits for it.
  function bucket.consume(q, now, a, b, c, cost_a, cost_b)
    local later, promised = values(q, a, b, c)
    a, b = plus(q, a, b, cost_a, cost_b)
    if a > MOST then return end
    return a, b, remembered(q, a, b, later, promised)
  end

  -- So much in use, at least.
  function bucket.raise(q, now, a, b, c, cost_a, cost_b)
    if cost_a < a or cost_a == a and cost_b <= b then return a, b, c end
    return cost_a, cost_b, remembered(q, cost_a, cost_b, values(q, a, b, c))
  end

  -- Less in use, although the receipts stay.
  local function less(q, a, b, c, less_a, less_b)
    local new_a, new_b = minus(q, a, b, less_a, less_b)
    local given_a, given_b = minus(q, a, b, new_a, new_b)
    local later, promised = values(q, a, b, c)
    later = later + rounded_up(given_a, given_b)
    if later > MOST then later = MOST end
    return new_a, new_b, remembered(q, new_a, new_b, later, promised)
  end

  function bucket.give(q, now, a, b, c, cost_a, cost_b)
    return less(q, a, b, c, cost_a, cost_b)
  end

  -- At most what is in use, less what was taken since. If the charge is cancelled, or others may still wait for what
  -- they have taken for later, also not what others have taken since.
  function bucket.undo(q, now, a, b, c, cost_a, cost_b, when_a, when_b, is_cancelled)
    local later, promised = values(q, a, b, c)
    local behind_a, behind_b = minus(q, now + a + later, b, when_a, when_b)
    local over_a, over_b = minus(q, when_a, when_b, now + a + later, b)
    -- Receipts tell 4096 parts of a µs apart.
    local is_last = over_a == 0 and over_b == 0 and behind_a == 0 and behind_b * 4096 < x[q]
    local most_a, most_b = minus(q, a, b, behind_a, behind_b)
    -- No receipt can be told from another then.
    if later >= MOST then cost_a, cost_b = 0, 0 end
    if is_cancelled or promised > 0 then cost_a, cost_b = minus(q, cost_a, cost_b, behind_a, behind_b) end
    if most_a < cost_a or most_a == cost_a and most_b < cost_b then cost_a, cost_b = most_a, most_b end
    if is_last then
      -- It is as if less had been charged.
      a, b = minus(q, a, b, cost_a, cost_b)
      -- If the level tells who waits, the last of them is the one who gives back.
      if c ~= 0 then c = remembered(q, a, b, later, promised) end
      return a, b, c
    end
    return less(q, a, b, c, cost_a, cost_b)
  end

  -- The kept form, and how long it must be kept.
  function bucket.write(q, now, a, b, c)
    if c == 0 then return pack('<I6I6I6I3', a, b, y[q], tag[q]), rounded_up(a, b) end
    if c[1] == 0 and c[2] == 0 then return pack('<I6I6I6I3', a, b + FLAG, y[q], tag[q]), rounded_up(a, b) end
    return pack('<I6I6I6I3I6I6', a, b, y[q] + FLAG, tag[q], c[1], c[2]), rounded_up(a, b) + c[1]
  end

  function bucket.tell(q, now, a, b, c)
    return a, b, c == 0 and 0 or c[1]
  end
end
