-- The token bucket. Its level is the time until it is full: a µs, and b units. A µs has x units, where x / cost is
-- the rate in lowest terms, so nothing is ever rounded. The capacity is y µs and z units. The cost of a charge and
-- its receipt (the time at which the bucket was to be full after the charge) are such times, too.
--
-- Kept: a I6, b I6, y I6, tag I3.
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

  -- The same share of another capacity, rounded up.
  local function carried_over(q, a, b, capacity)
    if b > 0 then a = a + 1 end
    if capacity < 1 then capacity = 1 end
    local most = y[q]
    if z[q] > 0 then most = most + 1 end
    local rest
    a, rest = muldiv(a, most, capacity)
    a, b = plus(q, a, 0, 0, muldiv_ceil(rest, x[q], capacity))
    if a > MOST then return MOST, 0 end
    return a, b
  end

  function bucket.read(text, at, q, now, elapsed)
    if not text then return 0, 0, 0, at end
    if #text < at + 20 then return end
    local a, b, capacity, written
    a, b, capacity, written, at = unpack('<I6I6I6I3', text, at)
    a = a - elapsed
    if a < 0 then return 0, 0, 0, at end
    if written ~= tag[q] or capacity ~= y[q] then a, b = carried_over(q, a, b, capacity) end
    return a, b, 0, at
  end

  -- The quota under which a limit is kept, as far as it is known.
  function bucket.quota_of(text, at)
    local capacity, written = unpack('<I6I3', text, at + 12)
    return 1, capacity, written
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
    a, b = plus(q, a, b, cost_a, cost_b)
    if a > MOST then return end
    return a, b, 0
  end

  function bucket.give(q, now, a, b, c, cost_a, cost_b)
    a, b = minus(q, a, b, cost_a, cost_b)
    return a, b, 0
  end

  -- At most what is still missing until the time at which the bucket was to be full after the charge: the rest has
  -- been refilled since. If the charge is cancelled, what others have taken behind it stays taken. c becomes what was
  -- given back, in µs, rounded up.
  function bucket.undo(q, now, a, b, c, cost_a, cost_b, when_a, when_b, is_cancelled)
    if is_cancelled then
      local behind_a, behind_b = minus(q, now + a, b, when_a, when_b)
      cost_a, cost_b = minus(q, cost_a, cost_b, behind_a, behind_b)
    end
    local left_a, left_b = minus(q, when_a, when_b, now, 0)
    if left_a < cost_a or left_a == cost_a and left_b < cost_b then cost_a, cost_b = left_a, left_b end
    a, b = minus(q, a, b, cost_a, cost_b)
    return a, b, cost_b > 0 and cost_a + 1 or cost_a
  end

  -- The kept form, and the time until the bucket is full.
  function bucket.write(q, now, a, b)
    return pack('<I6I6I6I3', a, b, y[q], tag[q]), b > 0 and a + 1 or a
  end

  function bucket.tell(q, now, a, b, c)
    return a, b, c
  end
end
