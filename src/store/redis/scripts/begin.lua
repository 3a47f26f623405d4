-- A process joins. Where there is nothing yet it begins, with the image that the process brings.
-- KEYS: head, log, image
-- ARGV: epoch, process, form, needs, image, given tick, given wall, how long a process may be silent
-- A server that is too old for this is not begun on.
redis.call('XTRIM', KEYS[2], 'MINID', '0-1')
local head = redis.call('HMGET', KEYS[1], 'epoch', 'needs', 'tick', 'origin')
local tick, wall = instant(ARGV[6], ARGV[7], head[4], head[3])
if head[1] then
  if tonumber(head[2]) > tonumber(ARGV[3]) then
    return {'newer', head[2]}
  end
  local all = redis.call('HGETALL', KEYS[1])
  for place = 1, #all, 2 do
    if string.sub(all[place], 1, 2) == 'i:' then
      local _, at, live, form = string.match(all[place + 1], '^(%d+) (%d+) (%d) (%d+)$')
      local here = live == '1' and tonumber(at) + tonumber(ARGV[8]) > wall
      if here and tonumber(form) < tonumber(ARGV[4]) then
        return {'older', form}
      end
    end
  end
  if tonumber(head[2]) < tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[1], 'needs', ARGV[4])
  end
else
  redis.call('DEL', KEYS[2])
  redis.call('SET', KEYS[3], ARGV[5])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'pos', '0', 'tag', '0', 'tick', whole(tick), 'needs', ARGV[4],
    'origin', whole(wall - tick), 'image', '0-0')
end
redis.call('HSET', KEYS[1], 'i:' .. ARGV[2], '0 ' .. whole(wall) .. ' 1 ' .. ARGV[3])
return {'ok'}
