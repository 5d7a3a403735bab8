package hub_test

import (
	"encoding/json"
	"fmt"
	"slices"
)

// phxMeta is a meta as phoenix.js knows it: it looks at nothing but phx_ref.
type phxMeta map[string]any

func (m phxMeta) ref() string { s, _ := m["phx_ref"].(string); return s }

type phxEntry struct {
	Metas []phxMeta `json:"metas"`
}

type phxState map[string]phxEntry

type phxDiff struct {
	Joins  phxState `json:"joins"`
	Leaves phxState `json:"leaves"`
}

// phxPresence does what phoenix.js's class Presence does (npm phoenix 1.8, presence.js), for one join
// after the other: diffs wait for the join's presence_state, then apply to it.
type phxPresence struct {
	state    phxState
	pending  []phxDiff
	joinRef  int // of the join whose state has come
	joined   int // of the channel
	problems []string
}

// rejoin is the client's channel joining again: the state stays until a new presence_state comes.
func (p *phxPresence) rejoin() { p.joined++ }

func (p *phxPresence) onState(payload []byte) {
	var s phxState
	if err := json.Unmarshal(payload, &s); err != nil {
		p.problems = append(p.problems, fmt.Sprintf("state %s: %v", payload, err))
	}
	p.joinRef = p.joined
	p.state = syncState(p.state, s)
	for _, d := range p.pending {
		p.state = syncDiff(p.state, d)
	}
	p.pending = nil
}

func (p *phxPresence) onDiff(payload []byte) {
	var d phxDiff
	if err := json.Unmarshal(payload, &d); err != nil || d.Joins == nil || d.Leaves == nil {
		p.problems = append(p.problems, fmt.Sprintf("diff %s: %v", payload, err))
	}
	if p.joinRef == 0 || p.joinRef != p.joined {
		p.pending = append(p.pending, d)
		return
	}
	p.state = syncDiff(p.state, d)
}

func syncState(state, fresh phxState) phxState {
	joins, leaves := phxState{}, phxState{}
	for key, e := range state {
		if _, ok := fresh[key]; !ok {
			leaves[key] = e
		}
	}
	for key, e := range fresh {
		current, ok := state[key]
		if !ok {
			joins[key] = e
			continue
		}
		if joined := without(e.Metas, current.Metas); len(joined) > 0 {
			joins[key] = phxEntry{joined}
		}
		if left := without(current.Metas, e.Metas); len(left) > 0 {
			leaves[key] = phxEntry{left}
		}
	}
	return syncDiff(state, phxDiff{joins, leaves})
}

func syncDiff(state phxState, d phxDiff) phxState {
	if state == nil {
		state = phxState{}
	}
	for key, e := range d.Joins {
		kept := without(state[key].Metas, e.Metas)
		state[key] = phxEntry{append(kept, e.Metas...)}
	}
	for key, e := range d.Leaves {
		current, ok := state[key]
		if !ok {
			continue
		}
		if kept := without(current.Metas, e.Metas); len(kept) > 0 {
			state[key] = phxEntry{kept}
		} else {
			delete(state, key)
		}
	}
	return state
}

// without returns the metas whose refs are not among those of others.
func without(metas, others []phxMeta) []phxMeta {
	var kept []phxMeta
	for _, m := range metas {
		if !slices.ContainsFunc(others, func(o phxMeta) bool { return o.ref() == m.ref() }) {
			kept = append(kept, m)
		}
	}
	return kept
}

// text returns the state in one form: keys in order, and the metas of each by their refs.
func (s phxState) text() string {
	for _, e := range s {
		slices.SortFunc(e.Metas, func(a, b phxMeta) int {
			if a.ref() < b.ref() {
				return -1
			}
			return 1
		})
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func parseState(payload []byte) phxState {
	s := phxState{}
	if err := json.Unmarshal(payload, &s); err != nil {
		panic(fmt.Sprintf("%s: %v", payload, err))
	}
	return s
}
