// Soak works on everything at once for a given time: floating point, garbage, memory mappings and their faults, files, pipes,
// threads, signals, timers, the network. Whatever it gets it compares with what it must be; a difference ends it with
// status 1, a worker that doesn't get on with status 3.
//
// It has no cases. It works in rounds, with a pause after each, in which nothing is open or going on any more, so
// that who looks at the kernel meanwhile sees whether something has been left behind:
//
//	round 3: computing 1021, garbage 17, …
//	resident 3760
//	quiet
//	go on
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	total    = flag.Duration("time", time.Minute, "how long to work")
	round    = flag.Duration("round", 20*time.Second, "how long to work between pauses")
	pause    = flag.Duration("pause", 5*time.Second, "how long a pause is")
	patience = flag.Duration("patience", 2*time.Minute, "how long a worker may take for one piece of work")
	tcpPeer  = flag.String("tcp", "", "the address of the TCP server of test/programs/peer")
	udpPeer  = flag.String("udp", "", "that of the UDP server")
)

// worker does one kind of work.
type worker struct {
	name  string
	count int // goroutines that do it
	do    func(seed uint64) error

	done  atomic.Int64    // pieces of work
	since [4]atomic.Int64 // when each goroutine has begun its present piece, in ns of the clock; 0: it has none
}

var workers = []*worker{
	{name: "computing", count: 3, do: compute},
	{name: "garbage", count: 2, do: garbage},
	{name: "mappings", count: 2, do: mappings},
	{name: "faults", count: 1, do: faults},
	{name: "files", count: 2, do: files},
	{name: "pipes", count: 2, do: pipes},
	{name: "threads", count: 1, do: threads},
	{name: "signals", count: 1, do: signals},
	{name: "timers", count: 1, do: timers},
	{name: "loopback", count: 2, do: loopback},
	{name: "local", count: 1, do: local},
	{name: "tcp", count: 2, do: tcp},
	{name: "udp", count: 1, do: udp},
}

// stop tells the workers to finish what they do.
var stop atomic.Bool

func main() {
	flag.Parse()
	debug.SetGCPercent(50)
	end := time.Now().Add(*total)
	for n := 1; time.Now().Before(end); n++ {
		work(*round)
		var counts []string
		for _, w := range workers {
			counts = append(counts, fmt.Sprintf("%s %d", w.name, w.done.Load()))
		}
		fmt.Printf("round %d: %s\n", n, strings.Join(counts, ", "))
		debug.FreeOSMemory()
		fmt.Println("resident", resident())
		fmt.Println("quiet")
		time.Sleep(*pause)
		fmt.Println("go on")
	}
	for _, w := range workers {
		if w.done.Load() == 0 {
			fmt.Printf("FAIL %s: nothing done\n", w.name)
			os.Exit(1)
		}
	}
	fmt.Println("ok soak")
}

// work lets all workers work for a while.
func work(d time.Duration) {
	stop.Store(false)
	var all sync.WaitGroup
	for i, w := range workers {
		if w.name == "tcp" && *tcpPeer == "" || w.name == "udp" && *udpPeer == "" {
			w.done.Add(1)
			continue
		}
		for j := range w.count {
			all.Go(func() { w.run(uint64(1000*i+j), &w.since[j]) })
		}
	}
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()
	timer := time.NewTimer(d)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-finished:
			return
		case <-timer.C:
			stop.Store(true)
		case <-tick.C:
			watch()
		}
	}
}

// run does pieces of work until it is stopped.
func (w *worker) run(seed uint64, since *atomic.Int64) {
	for n := uint64(0); !stop.Load(); n++ {
		since.Store(time.Now().UnixNano())
		if err := w.do(seed<<32 + n); err != nil {
			fmt.Printf("FAIL %s: %v\n", w.name, err)
			os.Exit(1)
		}
		w.done.Add(1)
	}
	since.Store(0)
}

// watch ends the program if a worker hangs.
func watch() {
	for _, w := range workers {
		for i := range w.since {
			if since := w.since[i].Load(); since != 0 && time.Now().UnixNano()-since > int64(*patience) {
				fmt.Printf("FAIL %s: hangs\n", w.name)
				pprof.Lookup("goroutine").WriteTo(os.Stderr, 2)
				os.Exit(3)
			}
		}
	}
}

// resident is the memory of this program in KiB, which may grow: its runtime keeps what it has had of threads.
func resident() int {
	var size, pages int
	text, err := os.ReadFile("/proc/self/statm")
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &pages)
	}
	if err != nil {
		fmt.Println("FAIL /proc/self/statm:", err)
		os.Exit(1)
	}
	return pages * os.Getpagesize() >> 10
}

// differ is the error of a result that isn't what it must be.
func differ(what string, got, want any) error {
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}
