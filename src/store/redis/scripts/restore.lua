-- The server has lost what a process knows: it begins anew with that, unless another process was first.
-- KEYS: head, log, image
-- ARGV: epoch and place that were seen ('' where nothing was), new epoch, id of the last entry in the image, image, tick,
--       needs, given tick, given wall, then what every process has done last: process, number, form ...
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos')
if (head[1] or '') ~= ARGV[1] or (head[2] or '') ~= ARGV[2] then
  return 0
end
local _, wall = instant(ARGV[8], ARGV[9], 0, 0)
local pos, tag = string.match(ARGV[4], '^(%d+)-(%d+)$')
-- First what a server without memory refuses: nothing is undone here.
redis.call('SET', KEYS[3], ARGV[5])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'pos', pos, 'tag', tag, 'tick', ARGV[6], 'needs', ARGV[7],
  'origin', whole(wall - tonumber(ARGV[6])), 'image', ARGV[4])
for place = 10, #ARGV, 3 do
  redis.call('HSET', KEYS[1], 'i:' .. ARGV[place], ARGV[place + 1] .. ' ' .. whole(wall) .. ' 1 ' .. ARGV[place + 2])
end
return 1
