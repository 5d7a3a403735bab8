package hub

// The states of a [Presence] are PresenceShards parts, which a cluster exchanges one by one: each has
// clocks of its own. What the methods below change is broadcast to the local subscribers before they
// return, as by Track.

// PresenceShards is the number of parts, the same in all members of a cluster.
const PresenceShards = presenceShards

// Delta returns what was tracked and untracked here in one part since the last call, see
// [PresenceState.Delta].
func (p *Presence) Delta(part int) PresenceDelta {
	sh := &p.shards[part]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.state.Delta()
}

// Full returns what is known in one part, see [PresenceState.Full].
func (p *Presence) Full(part int, replicas ...string) PresenceDelta {
	sh := &p.shards[part]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.state.Full(replicas...)
}

// Clocks returns the causal context of one part, see [PresenceState.Clocks].
func (p *Presence) Clocks(part int) PresenceDelta {
	sh := &p.shards[part]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.state.Clocks()
}

// Behind returns about whom to ask the sender of clocks, see [PresenceState.Behind].
func (p *Presence) Behind(part int, clocks PresenceDelta) []string {
	sh := &p.shards[part]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.state.Behind(clocks)
}

// Merge takes in what another replica has sent of one part. It refuses topics of other parts.
func (p *Presence) Merge(part int, d PresenceDelta) error {
	if err := d.checkTopics(func(topic string) bool { return presenceShardOf(topic) == part }); err != nil {
		return err
	}
	var err error
	p.change(part, func(s *PresenceState) (joins, leaves []*PresenceEntry) {
		joins, leaves, err = s.Merge(d)
		return joins, leaves
	})
	return err
}

// ReplicaUp says that r lives, see [PresenceState.ReplicaUp].
func (p *Presence) ReplicaUp(r Replica) {
	for part := range p.shards {
		p.change(part, func(s *PresenceState) (joins, leaves []*PresenceEntry) { return s.ReplicaUp(r) })
	}
}

// ReplicaDown hides the entries of a replica, see [PresenceState.ReplicaDown].
func (p *Presence) ReplicaDown(name string) {
	for part := range p.shards {
		p.change(part, func(s *PresenceState) (joins, leaves []*PresenceEntry) { return nil, s.ReplicaDown(name) })
	}
}

// ReplicaGone forgets a replica, see [PresenceState.ReplicaGone].
func (p *Presence) ReplicaGone(name string) {
	for part := range p.shards {
		p.change(part, func(s *PresenceState) (joins, leaves []*PresenceEntry) { return nil, s.ReplicaGone(name) })
	}
}

// change does with one part's state what f does, and broadcasts what that comes to.
func (p *Presence) change(part int, f func(*PresenceState) (joins, leaves []*PresenceEntry)) {
	sh := &p.shards[part]
	sh.mu.Lock()
	joins, leaves := f(sh.state)
	sh.queueLocked(joins, leaves)
	sh.mu.Unlock()
	flushed := make(map[string]bool, 1)
	for _, list := range [...][]*PresenceEntry{joins, leaves} {
		for _, e := range list {
			if t := e.Topic(); !flushed[t] {
				flushed[t] = true
				p.flush(sh, t)
			}
		}
	}
}

// queueLocked queues what a merge has changed, old and new of an update together.
func (sh *presenceShard) queueLocked(joins, leaves []*PresenceEntry) {
	updates := make(map[uint64]*PresenceEntry)
	for _, e := range joins {
		if e.prev != 0 {
			updates[e.prev] = e
		}
	}
	paired := make(map[*PresenceEntry]bool, len(updates))
	for _, e := range leaves {
		d := sh.diffsOf(e.Topic())
		if u := updates[e.ref]; u != nil && u.Topic() == e.Topic() && !paired[u] {
			paired[u] = true
			d.replace(e, u)
		} else {
			d.leave(e)
		}
	}
	for _, e := range joins {
		if !paired[e] {
			sh.diffsOf(e.Topic()).join(e, false)
		}
	}
}
