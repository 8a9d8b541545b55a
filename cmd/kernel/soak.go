//go:build soak

package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"wick/kernel/ground"
)

// underTest keeps the kernel itself busy beside the program, with what its runtime depends on ground for: garbage collection,
// preemption with all registers, recovered faults, timers, threads. It tells now and then what the kernel has left. A result
// that isn't what it must be ends the kernel.
func (k *kernel) underTest() {
	go every(20*time.Millisecond, garbage)
	go every(20*time.Millisecond, faults)
	go every(100*time.Millisecond, threads)
	want := series()
	for range 2 {
		go every(10*time.Millisecond, func() {
			if got := series(); got != want {
				panic("soak: floating point differs")
			}
		})
	}
	go every(time.Second, k.tell)
}

func every(d time.Duration, do func()) {
	for {
		do()
		time.Sleep(d)
	}
}

// tell logs what a leak in the kernel would let grow.
func (k *kernel) tell() {
	runtime.GC()
	debug.FreeOSMemory()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	used, _ := ground.KernelMemory()
	_, free := ground.Memory()
	k.log("kernel: goroutines %d objects %d stacks %d used %d free %d", runtime.NumGoroutine(),
		sample[0].Value.Uint64()>>10, sample[1].Value.Uint64()>>10, used>>10, free>>10)
}

// series is a loop without calls, which only a signal can preempt.
func series() uint64 {
	a, b, c := 1.0, 0.5, 0.25
	sum := 0.0
	for i := 1; i < 50000; i++ {
		x := float64(i)
		a = a*0.999 + 1/x
		b = b*0.998 + a/x
		c = c*0.997 - b/(x+1)
		sum += a + b*c
	}
	return math.Float64bits(sum)
}

type node struct {
	next  *node
	value int
}

func garbage() {
	var list *node
	for i := range 2000 {
		list = &node{list, i}
	}
	runtime.Gosched()
	for i := 1999; list != nil; i, list = i-1, list.next {
		if list.value != i {
			panic("soak: an object has changed")
		}
	}
}

func faults() {
	for range 10 {
		func() {
			defer func() {
				if _, ok := recover().(runtime.Error); !ok {
					panic("soak: a fault was not recovered from")
				}
			}()
			var p *node
			p.value = 1
		}()
	}
}

func threads() {
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlock: its thread ends
		done <- true
	}()
	<-done
}
