-- The instant of what is done here: by this server's clock, which every process shares; where a test passes another in, by
-- that. It never goes back, though a server that takes over may have a clock that is behind.
local function instant(given_tick, given_wall, origin, last)
  local tick, wall = tonumber(given_tick), tonumber(given_wall)
  if not tick then
    local time = redis.call('TIME')
    wall = tonumber(time[1]) * 1000000 + tonumber(time[2])
    tick = wall - (tonumber(origin) or wall)
  end
  return math.max(tick, tonumber(last) or 0), wall
end
local function whole(number)
  return string.format('%.0f', number)
end
