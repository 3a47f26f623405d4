-- Puts an image in place of the entries up to it, where there is no later one and these entries are the log's.
-- KEYS: head, log, image
-- ARGV: epoch, id of the last entry in it, image, how many entries before that stay, for those who ask seldom
local head = redis.call('HMGET', KEYS[1], 'epoch', 'image')
if head[1] ~= ARGV[1] then
  return 0
end
local place = tonumber(string.match(ARGV[2], '^%d+'))
local last = tonumber(string.match(head[2], '^%d+'))
-- One that is gone is written again, also where nothing was done since.
if place < last or (place == last and redis.pcall('EXISTS', KEYS[3]) ~= 0) then
  return 0
end
if ARGV[2] ~= head[2] and not redis.call('XRANGE', KEYS[2], ARGV[2], ARGV[2])[1] then
  return 0
end
local first = ARGV[2]
if ARGV[4] ~= '0' then
  first = whole(math.max(place - tonumber(ARGV[4]), 1)) .. '-0'
end
redis.call('SET', KEYS[3], ARGV[3])
redis.call('HSET', KEYS[1], 'image', ARGV[2])
redis.call('XTRIM', KEYS[2], 'MINID', first)
return 1
