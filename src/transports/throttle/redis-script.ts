import { createHash } from 'node:crypto';
import { STEPS } from './local-window.ts';

/**
 * One request in a sliding window, as `createLocalWindow` counts it, at one go and by the clock of Redis, so that all
 * replicas agree. For Redis 6 and 7, and Valkey.
 *
 * KEYS: 1. a hash of `total`, `oldest` and the count of each step, by its number. It goes with its window.
 * ARGV: 1. the limit; 2. the window in milliseconds.
 */
export const WINDOW_SCRIPT = `
local key, limit, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local width = window / ${STEPS}
local step = math.floor(now / width)
local known = redis.call('HMGET', key, 'total', 'oldest')
local total, oldest = tonumber(known[1]) or 0, tonumber(known[2])
local function isOver(number)
  -- In a future so far away only when the clock was set back by more than the window.
  return number <= step - ${STEPS} or number > step + ${STEPS}
end
if oldest and isOver(oldest) then
  total, oldest = 0, nil
  local fields = redis.call('HGETALL', key)
  for index = 1, #fields, 2 do
    local number = tonumber(fields[index])
    if number and isOver(number) then
      redis.call('HDEL', key, fields[index])
    elseif number then
      total = total + tonumber(fields[index + 1])
      if not oldest or number < oldest then oldest = number end
    end
  end
  if oldest then redis.call('HSET', key, 'total', total, 'oldest', string.format('%.0f', oldest)) end
end
if oldest and total >= limit then
  local seconds = math.ceil(((oldest + ${STEPS}) * width - now) / 1000)
  return math.max(1, math.min(seconds, math.ceil(window / 1000)))
end
local name = string.format('%.0f', step)
if not oldest then redis.call('HSET', key, 'total', 0, 'oldest', name) end
redis.call('HINCRBY', key, 'total', 1)
redis.call('HINCRBY', key, name, 1)
redis.call('PEXPIRE', key, window)
return 0
`;

/** By which Redis knows a script that it has run before. */
export function scriptId(script: string): string {
  return createHash('sha1').update(script).digest('hex');
}
