-- The fixed window: a are the permits in use, and b is the time until the window ends. x is the limit, y the period.
--
-- Kept: a I6, b I6, x I6, y I6, tag I3.
do
  local fixed = {}
  rules[1] = fixed

  function fixed.read(text, at, q, now, elapsed)
    if not text then return 0, y[q], 0, at end
    if #text < at + 26 then return end
    local used, left, limit, period, _
    used, left, limit, period, _, at = unpack('<I6I6I6I6I3', text, at)
    if limit < 1 or period < 1 then return end
    left = left - elapsed
    if left <= 0 then
      -- That many windows have ended.
      local into = fmod(-left, period)
      used = used - ((-left - into) / period + 1) * limit
      left = period - into
    end
    if used <= 0 then return 0, y[q], 0, at end
    if limit ~= x[q] then used = muldiv_ceil(used, x[q], limit) end
    if period ~= y[q] then
      -- The time that has passed counts as a duration or as a share of the period, whichever is less.
      local passed = period - left
      local share = muldiv(passed, y[q], period)
      if share < passed then passed = share end
      left = y[q] - passed
      if left < 1 then left = 1 end
    end
    return used, left, 0, at
  end

  -- The quota under which a limit is kept.
  function fixed.quota_of(text, at)
    return unpack('<I6I6I3', text, at + 12)
  end

  function fixed.room(q, used)
    return x[q] - used
  end

  function fixed.take(q, now, used, left, c, permits)
    if used + permits > MOST then return end
    return used + permits, left, 0
  end

  function fixed.give(q, now, used, left, c, permits)
    return math.max(used - permits, 0), left, 0
  end

  -- Permits come back only to the window in which they were taken.
  function fixed.undo(q, now, used, left, c, permits, _, when)
    if when < now + left - y[q] then return used, left, 0 end
    return fixed.give(q, now, used, left, c, permits)
  end

  function fixed.write(q, now, used, left)
    local full = 0
    if used > 0 then full = left + (muldiv_ceil(used, 1, x[q]) - 1) * y[q] end
    return pack('<I6I6I6I6I3', used, left, x[q], y[q], tag[q]), full
  end

  function fixed.tell(q, now, used, left)
    return used, left, 0
  end
end
