-- The strict window: a are the permits in use, and b is a text of entries, oldest first. An entry has the time of its
-- first grant, the time of its last grant, and their permits. Grants within 1/64 of a period share an entry, which
-- counts until its last grant is a period old. x is the limit, y the period.
--
-- Kept: a I6, x I6, y I6, tag I3, entries I2; each entry: first I7, last I7, permits I6.
do
  local strict = {}
  rules[3] = strict
  local ENTRY, SIZE = '<I7I7I6', 20

  -- Entry i, counted from 0.
  local function entry(entries, i)
    return unpack(ENTRY, entries, i * SIZE + 1)
  end

  -- After a step back of the clock no time has passed: the grants keep their age.
  local function moved(entries, by)
    local new = {}
    for i = 0, #entries / SIZE - 1 do
      local first, last, permits = entry(entries, i)
      new[i + 1] = pack(ENTRY, math.max(first + by, 0), math.max(last + by, 0), permits)
    end
    return concat(new)
  end

  -- The same share of another limit. Running sums are scaled, beginning with the newest grant, so that the total is
  -- rounded only once.
  local function scaled(entries, limit, before)
    local new, sum, total, n = {}, 0, 0, #entries / SIZE
    for i = n - 1, 0, -1 do
      local first, last, permits = entry(entries, i)
      sum = math.min(sum + permits, MOST)
      local after = muldiv_ceil(sum, limit, before)
      new[i + 1] = pack(ENTRY, first, last, after - total)
      total = after
    end
    return total, concat(new)
  end

  -- Under another period, the age of a grant counts as a duration or as a share of the period, whichever is less.
  -- Entries that have come closer to each other are merged, so that their number stays bounded.
  local function aged(entries, now, period, before)
    local function at(time)
      local age = now - time
      local share = muldiv(age, period, before)
      return now - math.min(age, share)
    end
    local new, width, open, open_last, open_permits = {}, math.ceil(period / 64)
    for i = 0, #entries / SIZE - 1 do
      local first, last, permits = entry(entries, i)
      first, last = at(first), at(last)
      if open and first - open < width then
        open_last, open_permits = math.max(open_last, last), math.min(open_permits + permits, MOST)
      else
        if open then new[#new + 1] = pack(ENTRY, open, open_last, open_permits) end
        open, open_last, open_permits = first, last, permits
      end
    end
    if open then new[#new + 1] = pack(ENTRY, open, open_last, open_permits) end
    return concat(new)
  end

  function strict.read(text, at, q, now, elapsed, stepped_back)
    if not text then return 0, '', 0, at end
    if #text < at + 22 then return end
    local used, limit, period, _, n
    used, limit, period, _, n, at = unpack('<I6I6I6I3I2', text, at)
    local stop = at + n * SIZE
    if limit < 1 or period < 1 or #text < stop - 1 then return end
    local entries = sub(text, at, stop - 1)
    if stepped_back > 0 then entries = moved(entries, -stepped_back) end
    local expired = 0
    while expired < n do
      local _, last, permits = entry(entries, expired)
      if now - last < period then break end
      used, expired = used - permits, expired + 1
    end
    if used <= 0 then return 0, '', 0, stop end
    entries = sub(entries, expired * SIZE + 1)
    if period ~= y[q] then entries = aged(entries, now, y[q], period) end
    if limit ~= x[q] then used, entries = scaled(entries, x[q], limit) end
    return used, entries, 0, stop
  end

  -- The quota under which a limit is kept.
  function strict.quota_of(text, at)
    return unpack('<I6I6I3', text, at + 6)
  end

  function strict.room(q, used)
    return x[q] - used
  end

  function strict.take(q, now, used, entries, c, permits)
    if used + permits > MOST then return end
    if permits == 0 then return used, entries, 0 end
    local n, first, last, before = #entries / SIZE, now, now, 0
    if n > 0 then
      first, last, before = entry(entries, n - 1)
      if now - first < math.ceil(y[q] / 64) then
        entries = sub(entries, 1, -SIZE - 1)
      else
        first, before = now, 0
      end
    end
    last = math.max(now, before > 0 and last or now)
    return used + permits, entries .. pack(ENTRY, first, last, before + permits), 0
  end

  -- The oldest grants first: what remains then counts longest.
  function strict.give(q, now, used, entries, c, permits)
    if permits >= used then return 0, '', 0 end
    used = used - permits
    local i = 0
    while true do
      local first, last, held = entry(entries, i)
      i = i + 1
      if held > permits then
        return used, pack(ENTRY, first, last, held - permits) .. sub(entries, i * SIZE + 1), 0
      end
      permits = permits - held
    end
  end

  -- The permits of the entry in which the charge was counted come back, at most.
  function strict.undo(q, now, used, entries, c, permits, _, when)
    for i = #entries / SIZE - 1, 0, -1 do
      local first, last, held = entry(entries, i)
      if first <= when then
        if when > last then break end
        permits = math.min(permits, held)
        local changed = pack(ENTRY, first, last, held - permits)
        return used - permits, sub(entries, 1, i * SIZE) .. changed .. sub(entries, (i + 1) * SIZE + 1), 0
      end
    end
    return used, entries, 0
  end

  -- The time until at most so many permits are in use.
  local function down_to(q, now, used, entries, most)
    local i, wait = 0, 0
    while used > most and i < #entries / SIZE do
      local _, last, permits = entry(entries, i)
      used, wait, i = used - permits, last + y[q] - now, i + 1
    end
    return wait
  end

  -- The time until no permit is in use: when the newest entry with permits expires.
  local function full_after(q, now, used, entries)
    for i = #entries / SIZE - 1, 0, -1 do
      local _, last, permits = entry(entries, i)
      if permits > 0 then return last + y[q] - now end
    end
    return 0
  end

  function strict.write(q, now, used, entries)
    local head = pack('<I6I6I6I3I2', used, x[q], y[q], tag[q], #entries / SIZE)
    return head .. entries, full_after(q, now, used, entries)
  end

  -- The time until the charge passes, or, if it passes or has passed, the time until the next permit.
  function strict.tell(q, now, used, entries, c, permits, is_taken)
    local wanted = 1
    if not is_taken and used + permits > x[q] then wanted = permits end
    return used, full_after(q, now, used, entries), down_to(q, now, used, entries, x[q] - wanted)
  end
end
