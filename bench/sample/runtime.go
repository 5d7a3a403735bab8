package sample

import (
	"runtime/debug"
	"runtime/metrics"
	"slices"
)

// ReadRuntime reads what [Go] says, of this process. It stops no goroutine, unlike runtime.ReadMemStats.
func ReadRuntime() *Go {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(s)
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	g := &Go{
		HeapAlloc: number(s[0]), HeapInuse: number(s[0]) + number(s[1]), StackInuse: number(s[2]), Sys: number(s[3]),
		Goroutines: int(number(s[4])), GCs: gc.NumGC, GCPause: gc.PauseTotal,
	}
	if len(gc.Pause) > 0 {
		g.GCPauseMax = slices.Max(gc.Pause)
	}
	return g
}

// number is 0 if the runtime has no such figure any more.
func number(s metrics.Sample) int64 {
	if s.Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s.Value.Uint64())
}
