-- Notes what was done by hand, each once, whichever processes say so.
-- KEYS: audit
-- ARGV: where it stood in the log, what is to be said of it ...
for place = 1, #ARGV, 2 do
  redis.call('HSETNX', KEYS[1], ARGV[place], ARGV[place + 1])
end
return 1
