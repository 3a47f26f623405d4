-- Puts what a process does behind what all have done so far, in one step, and says what that was.
-- KEYS: head, log, image
-- ARGV: epoch, id of the last entry that the process knows, process, number of the first thing that it does, tag,
--       given tick, given wall, how long a process may be silent ('0': nobody is looked at), how many entries it takes,
--       form, what it does ...
local me = 'i:' .. ARGV[3]
local head = redis.call('HMGET', KEYS[1], 'epoch', 'pos', 'tick', 'origin', 'image', 'needs', me, 'tag', 'looked',
  'ahead')
if not head[1] then
  return {'gone'}
end
if head[1] ~= ARGV[1] then
  return {'epoch', head[1]}
end
if tonumber(head[6]) > tonumber(ARGV[10]) then
  return {'newer', head[6]}
end
local most = tonumber(ARGV[9])
local entries = {}
if ARGV[2] ~= head[2] .. '-' .. head[8] then
  entries = redis.call('XRANGE', KEYS[2], ARGV[2], '+', 'COUNT', most + 1)
  if ARGV[2] ~= head[5] and (not entries[1] or entries[1][1] ~= ARGV[2]) then
    return {'lost', head[2]}
  end
end
local tick, wall, ahead = instant(ARGV[6], ARGV[7], head[4], head[3], head[10])
if #entries > most then
  return {'more', whole(tick), whole(wall), entries}
end
local before = tonumber(head[2])
local pos, known, first = before, 0, tonumber(ARGV[4])
if head[7] then
  known = tonumber(string.match(head[7], '^%d+'))
end
local stamp = whole(tick) .. ' ' .. whole(wall) .. ' ' .. ARGV[3] .. ' '
for place = 11, #ARGV do
  local number = first + place - 11
  if number > known then
    pos = pos + 1
    redis.call('XADD', KEYS[2], whole(pos) .. '-' .. ARGV[5], 'e', stamp .. whole(number) .. ' ' .. ARGV[place])
    known = number
  end
end
-- Now and then, whoever has been silent for too long is dead: what it had under way is ended for it. But where nobody was
-- heard for long, the server was away, and where somebody was heard later than now, its clock was set back: then all have as
-- long again to say that they live.
local buried, silence = 0, tonumber(ARGV[8])
local since = wall - (tonumber(head[9]) or 0)
if silence > 0 and math.abs(since) >= silence / 6 then
  local anew = since < 0 or since >= silence * 2 / 3
  local all = redis.call('HGETALL', KEYS[1])
  for place = 1, #all, 2 do
    local field = all[place]
    if string.sub(field, 1, 2) == 'i:' and field ~= me then
      local number, at, live, form = string.match(all[place + 1], '^(%d+) (%d+) (%d) (%d+)$')
      if live == '1' and anew then
        redis.call('HSET', KEYS[1], field, number .. ' ' .. whole(wall) .. ' 1 ' .. form)
      elseif live == '1' and tonumber(at) + silence <= wall then
        pos = pos + 1
        buried = buried + 1
        redis.call('XADD', KEYS[2], whole(pos) .. '-' .. ARGV[5], 'e', stamp .. '0 {"bury":"' .. string.sub(field, 3) .. '"}')
        redis.call('HSET', KEYS[1], field, number .. ' ' .. at .. ' 0 ' .. form)
      elseif live == '0' and tonumber(at) + 86400000000 <= wall then
        redis.call('HDEL', KEYS[1], field)
      end
    end
  end
  redis.call('HSET', KEYS[1], 'looked', whole(wall))
end
-- Whoever leaves is there no more at once: a version that it could not follow need not wait.
local live = ARGV[#ARGV] == '"leave"' and ' 0 ' or ' 1 '
local mine = whole(known) .. ' ' .. whole(wall) .. live .. ARGV[10]
if pos > before then
  redis.call('HSET', KEYS[1], 'pos', whole(pos), 'tag', ARGV[5], 'tick', whole(tick), me, mine)
else
  redis.call('HSET', KEYS[1], 'tick', whole(tick), me, mine)
end
if whole(ahead) ~= (head[10] or '0') then
  redis.call('HSET', KEYS[1], 'ahead', whole(ahead))
end
-- To a user who may not ask it is there.
local gone = redis.pcall('EXISTS', KEYS[3]) == 0
return {'ok', whole(tick), whole(wall), entries, whole(before), buried, head[5], gone and 0 or 1}
