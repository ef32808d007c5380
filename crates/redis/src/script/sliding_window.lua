-- The sliding window with two counters: a is the time since this window began, b are the permits of this window, and
-- c those of the window before. x is the limit, y the period.
--
-- Kept: a I6, b I6, c I6, x I6, y I6, tag I3.
do
  local sliding = {}
  rules[2] = sliding

  function sliding.read(text, at, q, now, elapsed)
    if not text then return 0, 0, 0, at end
    if #text < at + 32 then return end
    local into, this, last, limit, period, _
    into, this, last, limit, period, _, at = unpack('<I6I6I6I6I6I3', text, at)
    if limit < 1 or period < 1 then return end
    into = into + elapsed
    if into >= period then
      last = into < 2 * period and this or 0
      this = 0
      into = fmod(into, period)
    end
    if this == 0 and last == 0 then return 0, 0, 0, at end
    if limit ~= x[q] then
      -- Together they are rounded only once.
      local both = muldiv_ceil(this + last, x[q], limit)
      this = muldiv_ceil(this, x[q], limit)
      last = both - this
    end
    if period ~= y[q] then
      -- A long period does not pass in the time of a short one.
      local share = muldiv(into, y[q], period)
      if share < into then into = share end
    end
    return into, this, last, at
  end

  -- The quota under which a limit is kept.
  function sliding.quota_of(text, at)
    return unpack('<I6I6I3', text, at + 18)
  end

  function sliding.room(q, into, this, last)
    return x[q] - this - muldiv_ceil(last, y[q] - into, y[q])
  end

  function sliding.take(q, now, into, this, last, permits)
    if this + permits > MOST then return end
    return into, this + permits, last
  end

  function sliding.give(q, now, into, this, last, permits)
    local rest = math.max(permits - this, 0)
    return into, math.max(this - permits, 0), math.max(last - rest, 0)
  end

  -- Permits come back to the window in which they were taken, as long as it counts.
  function sliding.undo(q, now, into, this, last, permits, _, when)
    local began = now - into
    if when >= began then
      this = math.max(this - permits, 0)
    elseif when >= began - y[q] then
      last = math.max(last - permits, 0)
    end
    return into, this, last
  end

  function sliding.write(q, now, into, this, last)
    local full = 0
    if this > 0 then
      full = 2 * y[q] - into
    elseif last > 0 then
      full = y[q] - into
    end
    return pack('<I6I6I6I6I6I3', into, this, last, x[q], y[q], tag[q]), full
  end

  function sliding.tell(q, now, into, this, last)
    return into, this, last
  end
end
