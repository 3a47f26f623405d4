-- The instant of what is done here: by this server's clock, which every process shares; where a test passes another in, by
-- that. It never goes back. Where the clock is behind what was said last, as that of a server that takes over may be, time
-- stands still until it has caught up; but where it is behind by seconds, as it was set back, time goes on from there, by so
-- much `ahead` of the clock, until that is right again by itself, but for seconds, for which time stands still.
local BEHIND = 5000000
local function instant(given_tick, given_wall, origin, last, ahead)
  local tick, wall = tonumber(given_tick), tonumber(given_wall)
  last, ahead = tonumber(last) or 0, tonumber(ahead) or 0
  if not tick then
    local time = redis.call('TIME')
    wall = tonumber(time[1]) * 1000000 + tonumber(time[2])
    tick = wall - (tonumber(origin) or wall)
    if tick + BEHIND >= last then
      ahead = 0
    elseif tick + ahead + BEHIND < last then
      ahead = last - tick
    end
    tick = tick + ahead
  end
  return math.max(tick, last), wall, ahead
end
local function whole(number)
  return string.format('%.0f', number)
end
