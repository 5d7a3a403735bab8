package hub

// ShardOf lets benchmarks choose topics that share a lock, or do not.
func ShardOf(h *Hub, topic string) int { return int(h.hash(topic) % shardCount) }

// SetHelpers lets n goroutines help the fan-outs of h, one for so many pages, however few processors there are; with n
// -1, none. It must come before any broadcast.
func SetHelpers(h *Hub, n, pages int) { h.helperLimit, h.helperPages = int32(n), uint32(pages) }

// SpreadPages is how many pages a helper is started for.
const SpreadPages = spreadPages

// Helping returns how many helpers there are.
func Helping(h *Hub) int { return int(h.helping.Load()) }

// Helpers returns how many helpers a fan-out to so many slots would have.
func Helpers(h *Hub, slots int) int { return int(h.claimHelpers(uint32(slots))) }
