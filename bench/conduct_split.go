package bench

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// divide returns what each member is to do of cfg, which was checked. Users, and with them those who send,
// topics and arrivals in phases are divided by weight. ArrivalRate and Rate stay whole: a generator takes
// its Share of them, but for a Rate that only the first one sends, into a topic that all share.
//
// Each member has one of everything at least: cfg is changed where that needs more.
func divide(cfg *Config, members []Member) ([]Config, error) {
	n := len(members)
	if n == 0 {
		return nil, errors.New("no generator")
	}
	if cfg.Connections < n || cfg.Connections > math.MaxInt32 {
		return nil, fmt.Errorf("%d connections cannot be divided among %d generators: want at least one each, and fewer than 2^31", cfg.Connections, n)
	}
	weights := make([]int, n)
	for i, m := range members {
		if weights[i] = max(m.Weight, 1); m.Weight < 0 || m.Weight > MaxWeight {
			return nil, fmt.Errorf("%s has the weight %d: want 1 to %d", m.Name, m.Weight, MaxWeight)
		}
	}
	parts := make([]Config, n)
	for i, connections := range split(cfg.Connections, weights) {
		weights[i] = connections
		parts[i] = *cfg
		parts[i].Connections = connections
	}
	divideCount(cfg, parts, weights, func(c *Config) *int { return &c.Plateau })
	divideCount(cfg, parts, weights, func(c *Config) *int { return &c.Active })
	divideCount(cfg, parts, weights, func(c *Config) *int { return &c.Rooms })
	for i := range parts {
		p := &parts[i]
		p.Part, p.Parts, p.Share = i, n, float64(p.Connections)/float64(cfg.Connections)
		p.Phases = slices.Clone(cfg.Phases)
		for k := range p.Phases {
			p.Phases[k].Rate *= p.Share
		}
	}
	return parts, nil
}

// divideCount divides one number of cfg, if it is above 0, so that nobody has 0 of it.
func divideCount(cfg *Config, parts []Config, weights []int, of func(*Config) *int) {
	total := of(cfg)
	if *total <= 0 {
		return
	}
	*total = max(*total, len(parts))
	for i, n := range split(*total, weights) {
		*of(&parts[i]) = n
	}
}

// split divides total by weights, each above 0, by the method of the largest remainder. If there is one
// for each, each gets one.
func split(total int, weights []int) []int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	parts, order := make([]int, len(weights)), make([]int, len(weights))
	left := total
	for i, w := range weights {
		parts[i], order[i] = total*w/sum, i
		left -= parts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(total*weights[b]%sum, total*weights[a]%sum) })
	for _, i := range order[:left] {
		parts[i]++
	}
	for i := range parts {
		if parts[i] == 0 && total >= len(parts) {
			parts[slices.Index(parts, slices.Max(parts))]--
			parts[i]++
		}
	}
	return parts
}
