package main

import (
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

type record struct {
	pad   [100]byte
	value int
}

// catch runs f, which must panic with a run-time error that holds want.
func catch(t *check.T, want string, f func()) {
	defer func() {
		err, ok := recover().(runtime.Error)
		if !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("recovered %v, want a run-time error with %q", err, want)
		}
	}()
	f()
}

//go:noinline
func load(p *record) int { return p.value }

//go:noinline
func store(p *record) { p.value = 1 }

//go:noinline
func divide(a, b int) int { return a / b }

func nilDereference(t *check.T) {
	for range 1000 {
		catch(t, "nil pointer dereference", func() { load(nil) })
		catch(t, "nil pointer dereference", func() { store(nil) })
	}
}

func nilDereferenceThreads(t *check.T) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for range 40 {
				catch(t, "nil pointer dereference", func() { load(nil) })
			}
		})
	}
	wg.Wait()
}

// wildAddress faults at addresses that are not null, which panics only if the program asks for that.
func wildAddress(t *check.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	offset := valueOffset()
	for _, fault := range []struct{ at, reported uintptr }{
		{0x7f0000000, 0x7f0000000 + offset},
		{0xffff_ffff_8020_1000, 0xffff_ffff_8020_1000 + offset},
		// Not canonical: a #GP, which tells no address [SDM3 6.15].
		{0x8000_0000_0000_0000, 0},
	} {
		func() {
			defer func() {
				err, ok := recover().(interface{ Addr() uintptr })
				if !ok || err.Addr() != fault.reported {
					t.Errorf("a fault at %#x: recovered %v, want an error with address %#x", fault.at, err, fault.reported)
				}
			}()
			load(wild(fault.at))
		}()
	}
}

func divideByZero(t *check.T) {
	for range 100 {
		catch(t, "integer divide by zero", func() { divide(1, 0) })
	}
}

// preemptTightLoop needs the runtime's SIGURG: the loop has no function call, so it ends only if it is interrupted.
func preemptTightLoop(t *check.T) {
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	var stop atomic.Bool
	started, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		close(started)
		for n := 0; !stop.Load(); n++ {
		}
	}()
	<-started
	time.Sleep(30 * time.Millisecond)
	stop.Store(true)
	<-done
}

// preemptWithGC makes garbage collections stop spinning goroutines again and again.
func preemptWithGC(t *check.T) {
	old := runtime.GOMAXPROCS(4)
	defer runtime.GOMAXPROCS(old)
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
			}
		})
	}
	live := make([][]byte, 64)
	for i := range 20 {
		for j := range live {
			live[j] = make([]byte, 10000)
			live[j][i] = byte(j)
		}
		runtime.GC()
		for j := range live {
			if live[j][i] != byte(j) {
				t.Errorf("collection %d lost memory", i)
			}
		}
	}
	stop.Store(true)
	wg.Wait()
}

// stopTheWorld stops spinning threads at random places in loops that hold values in all registers.
func stopTheWorld(t *check.T) {
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				if got := mix(2000); got != mixed2000 {
					t.Errorf("an interrupted computation gave %#x, want %#x", got, uint64(mixed2000))
					return
				}
			}
		})
	}
	for range 20 {
		runtime.GC()
	}
	stop.Store(true)
	wg.Wait()
}

// mixed2000 is mix(2000), as Linux computed it.
const mixed2000 = 0x734892a7cdc31f5b

// mix computes with eight integers and four floats that are all live through the loop.
//
//go:noinline
func mix(rounds int) uint64 {
	a, b, c, d := uint64(1), uint64(2), uint64(3), uint64(4)
	e, f, g, h := uint64(5), uint64(6), uint64(7), uint64(8)
	x, y, z, w := 1.0, 2.0, 3.0, 4.0
	for range rounds {
		a, b, c, d = b*6364136223846793005+1, c^a>>7, d+b<<3, a-c
		e, f, g, h = f^d, g+a, h*3, e>>1^b
		x, y, z, w = y*0.5+1, z*0.25+x, w-y*0.125, x*0.75
	}
	return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ uint64((x+y+z+w)*1e9)
}

// registersKept runs the same computation while signals are handled by the thread.
func registersKept(t *check.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))) // or Go's scheduler takes turns of 20 ms
	var stop atomic.Bool
	var wg sync.WaitGroup
	tid := make(chan int)
	wg.Go(func() {
		runtime.LockOSThread()
		tid <- syscall.Gettid()
		for !stop.Load() {
			if got := mix(2000); got != mixed2000 {
				t.Errorf("a computation with signals gave %#x, want %#x", got, uint64(mixed2000))
				return
			}
		}
	})
	target := <-tid
	for range 500 {
		t.Must(unix.Tgkill(syscall.Getpid(), target, syscall.SIGURG)) // the runtime's handler runs, nothing else comes of it
		time.Sleep(50 * time.Microsecond)
	}
	stop.Store(true)
	wg.Wait()
}
