-- What somebody needs who knows nothing, or too little: the last image, and where it stands.
-- KEYS: head, image
local head = redis.call('HMGET', KEYS[1], 'epoch', 'needs', 'pos', 'image')
if not head[1] then
  return {'gone'}
end
return {'ok', head[1], head[2], head[3], head[4], redis.call('GET', KEYS[2])}
