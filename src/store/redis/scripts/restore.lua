-- The server has lost what a process knows: it begins anew with that, unless another process was first.
-- KEYS: head, log, image
-- ARGV: epoch that was seen ('' where there was none), new epoch, id of the last entry in the image, image, tick,
--       needs, given tick, given wall, then what every process has done last: process, number, form ...
-- Whoever has gone on with what is replaced finds that this comes after it, and tells what it did again.
if (redis.call('HGET', KEYS[1], 'epoch') or '') ~= ARGV[1] then
  return 0
end
local _, wall = instant(ARGV[7], ARGV[8], 0, 0)
local pos, tag = string.match(ARGV[3], '^(%d+)-(%d+)$')
-- First what a server without memory refuses: nothing is undone here.
redis.call('SET', KEYS[3], ARGV[4])
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[1], 'epoch', ARGV[2], 'pos', pos, 'tag', tag, 'tick', ARGV[5], 'needs', ARGV[6],
  'origin', whole(wall - tonumber(ARGV[5])), 'image', ARGV[3])
for place = 9, #ARGV, 3 do
  redis.call('HSET', KEYS[1], 'i:' .. ARGV[place], ARGV[place + 1] .. ' ' .. whole(wall) .. ' 1 ' .. ARGV[place + 2])
end
return 1
