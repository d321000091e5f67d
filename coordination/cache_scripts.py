"""Lua scripts of the response cache. Each runs atomically, on Redis's clock.

KEYS[1] is the hash of a document. Its fields are

- the rendered responses by variant,
- `#lease:VARIANT` and `#lease:VARIANT:until`: the token of the reader that renders, and the end of its lease in ms,
- `#epoch`: the epoch of the responses,
- `#fence`: the number of fences.
"""

from coordination.server import Script

# Start a new epoch unless the server already has the scripts. See READ, number 1.
_NEW_EPOCH_OF_UNKNOWN_SERVER = """
local now = redis.call('TIME')
return redis.call('SET', KEYS[2], now[1] .. '.' .. now[2], 'PX', ARGV[5])
"""

# KEYS: document, epoch. ARGV: variant, token, lease ms, maximum TTL ms, epoch ms.
# Returns {"hit", body}; {"lease", token}: render and store; {"busy"}: another reader renders; {"off"}: do not store.
#
# 1. A server without this script was restarted or promoted, with data from before. Writers may have changed the rows
#    meanwhile without its knowledge. So a new epoch starts before the script is loaded.
# 2. Without an epoch no reader reaches Redis, or a writer ended it. Nothing may be read or stored.
# 3. A fence means that a transaction is about to commit. A response from now could be stale after the commit.
# 4. Responses of an older epoch are stale.
# 5. The lease is taken in the same script, so a crowd of readers gets one lease.
# 6. The hash lives for the maximum TTL from its first lease on. STORE may shorten that.
READ = Script(
    """
local epoch = redis.call('GET', KEYS[2])
if not epoch then return {'off'} end                                                        -- 2
local body, stored_in, fence = unpack(redis.call('HMGET', KEYS[1], ARGV[1], '#epoch', '#fence'))
if fence then return {'off'} end                                                            -- 3
if stored_in and stored_in ~= epoch then                                                    -- 4
    redis.call('DEL', KEYS[1])
    body, stored_in = false, false
end
if body then return {'hit', body} end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local lease = '#lease:' .. ARGV[1]
local until_ms = redis.call('HGET', KEYS[1], lease .. ':until')
if until_ms and tonumber(until_ms) > ms then return {'busy'} end                            -- 5
redis.call('HSET', KEYS[1], lease, ARGV[2], lease .. ':until', string.format('%.0f', ms + ARGV[3]), '#epoch', epoch)
if not stored_in then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end                           -- 6
return {'lease', ARGV[2]}
""",
    before_load=_NEW_EPOCH_OF_UNKNOWN_SERVER,
)

# KEYS: document. ARGV: variant, token, lease ms. Returns 0 if the lease is not ours any more.
EXTEND_LEASE = Script("""
local lease = '#lease:' .. ARGV[1]
if redis.call('HGET', KEYS[1], lease) ~= ARGV[2] then return 0 end
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], lease .. ':until', string.format('%.0f', ms + ARGV[3]))
return 1
""")

# KEYS: document. ARGV: variant, token, body ('': store nothing), TTL ms. Releases the lease.
# Returns 0 if the lease is not ours any more: a write has deleted the hash, and this response was rendered before it.
STORE = Script("""
local lease = '#lease:' .. ARGV[1]
if redis.call('HGET', KEYS[1], lease) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], lease, lease .. ':until')
if ARGV[3] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
    local left = redis.call('PTTL', KEYS[1])
    if left > tonumber(ARGV[4]) then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
end
return 1
""")

# KEYS: documents. ARGV: 1 adds a fence, -1 removes one, 0 only deletes; fence ms.
# Deletes the documents with all their leases. Several writers may have fences at once, so they are counted.
CHANGE_FENCES = Script("""
for _, key in ipairs(KEYS) do
    local fences = tonumber(redis.call('HGET', key, '#fence') or '0') + ARGV[1]
    redis.call('DEL', key)
    if fences > 0 then
        redis.call('HSET', key, '#fence', fences)
        redis.call('PEXPIRE', key, ARGV[2])
    end
end
return 1
""")

# KEYS: epoch. ARGV: a new epoch, epoch ms. Renews the epoch, and starts the new one only if there is none.
RENEW_EPOCH = Script("""
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
""")

# KEYS: epoch. ARGV: a new epoch, epoch ms. Ends the current epoch.
NEW_EPOCH = Script("return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])")
