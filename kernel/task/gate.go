package task

import (
	"sync"
	"sync/atomic"
	"time"

	"wick/kernel/timers"
)

// Gate lets only a few threads at a time be in the kernel while memory is tight: each may make its stack grow by several pages there, and
// holds some more for the time of its call, which hundreds must not do at once. Who sleeps in the kernel doesn't count.
//
// A nil gate is open.
type Gate struct {
	tight  *uint32 // not 0, atomically: memory is
	most   int32
	timers *timers.Set

	inside  atomic.Int32
	entries atomic.Uint32 // into the kernel so far
	waiting atomic.Int32
	left    chan struct{} // somebody has left, while others waited
	extra   atomic.Int32  // more than most that may be inside

	mu      sync.Mutex
	looking bool   // guarded by mu: look will be called
	seen    uint32 // guarded by mu: the entries at its last call
}

// gatePatience is how long those in the kernel may keep all others out. Perhaps they wait for one of them, with a lock: then one more is
// let in.
const gatePatience = 500 * time.Millisecond

// NewGate returns a gate that lets in most threads at a time while tight is not 0.
func NewGate(tight *uint32, most int) *Gate {
	return &Gate{tight: tight, most: int32(most), left: make(chan struct{}, most), timers: timers.NewSet()}
}

// enter waits until there is room, and tells whether leave has to be called.
func (g *Gate) enter() bool {
	if g == nil || atomic.LoadUint32(g.tight) == 0 {
		return false
	}
	if !g.room() {
		g.wait()
	}
	return true
}

// room counts the caller if there is room.
func (g *Gate) room() bool {
	for {
		switch n := g.inside.Load(); {
		case n >= g.most+g.extra.Load():
			return false
		case g.inside.CompareAndSwap(n, n+1):
			g.entries.Add(1)
			return true
		}
	}
}

func (g *Gate) wait() {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	g.mu.Lock()
	if !g.looking {
		g.looking, g.seen = true, g.entries.Load()
		g.timers.AfterFunc(gatePatience, g.look)
	}
	g.mu.Unlock()
	for !g.room() {
		<-g.left
	}
}

// look lets one more in if nobody has got in since the last look.
func (g *Gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	entries := g.entries.Load()
	stuck := entries == g.seen
	g.seen = entries
	switch {
	case g.waiting.Load() == 0:
		g.looking = false
		g.extra.Store(0)
		return
	case stuck:
		g.extra.Add(1)
		g.tell()
	default:
		g.extra.Store(0)
	}
	g.timers.AfterFunc(gatePatience, g.look)
}

func (g *Gate) leave() {
	g.inside.Add(-1)
	if g.waiting.Load() > 0 {
		g.tell()
	}
}

// tell has one of those who wait look for room.
func (g *Gate) tell() {
	select {
	case g.left <- struct{}{}:
	default: // others are told, who have not looked yet
	}
}

// enter has the thread wait at the gate.
func (t *Thread) enter() {
	if !t.inside {
		t.inside = t.Process.options.Gate.enter()
	}
}

// exit is the end of what enter has begun, or of a part of it: the thread sleeps.
func (t *Thread) exit() {
	if t.inside {
		t.inside = false
		t.Process.options.Gate.leave()
	}
}
