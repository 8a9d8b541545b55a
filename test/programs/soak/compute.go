package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// series adds up terms in a loop without calls, which only a signal can preempt; every register of it counts.
func series(n int) (sum, product float64, hash uint64) {
	a, b, c, d := 1.0, 0.5, 0.25, 0.125
	sum, product, hash = 0, 1, 14695981039346656037
	for i := 1; i <= n; i++ {
		x := float64(i)
		a = a*0.999 + 1/x
		b = b*0.998 + a/x
		c = c*0.997 - b/(x+1)
		d = d*0.996 + c*a
		sum += a + b*c - d
		product = product*(1+1/(x*x)) - d/(x*x*x)
		hash = (hash ^ uint64(i)) * 1099511628211
	}
	return sum, product, hash
}

const seriesSize = 200000

var expected = sync.OnceValue(func() [3]uint64 { return bits(series(seriesSize)) })

func bits(sum, product float64, hash uint64) [3]uint64 {
	return [3]uint64{math.Float64bits(sum), math.Float64bits(product), hash}
}

func compute(uint64) error {
	if got := bits(series(seriesSize)); got != expected() {
		return differ("series", got, expected())
	}
	return nil
}

// node is a tree with values that are known.
type node struct {
	left, right *node
	value       uint64
}

func grow(depth int, value uint64) *node {
	if depth == 0 {
		return nil
	}
	return &node{grow(depth-1, 2*value), grow(depth-1, 2*value+1), value}
}

func (n *node) check(value uint64) error {
	if n == nil {
		return nil
	}
	if n.value != value {
		return differ("node of a tree", n.value, value)
	}
	if err := n.left.check(2 * value); err != nil {
		return err
	}
	return n.right.check(2*value + 1)
}

func garbage(seed uint64) error {
	tree := grow(13, seed|1)
	if seed%4 == 0 {
		runtime.GC()
	}
	time.Sleep(10 * time.Millisecond)
	return tree.check(seed | 1)
}

// mappings maps memory, and looks at what is in it after unmapping, protecting and giving back parts.
func mappings(seed uint64) error {
	pages := 16 + int(seed%48)
	m, err := unix.Mmap(-1, 0, pages*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	page := func(i int) []byte { return m[i*4096 : (i+1)*4096] }
	pattern := func(i int) []byte { return bytes.Repeat([]byte{byte(seed), byte(i), 7, byte(seed >> 8)}, 1024) }
	for i := range pages {
		copy(page(i*7%pages), pattern(i*7%pages))
	}
	third := pages / 3
	if err := unix.Madvise(m[:third*4096], unix.MADV_DONTNEED); err != nil {
		return err
	}
	if err := unix.Mprotect(m[third*4096:2*third*4096], unix.PROT_READ); err != nil {
		return err
	}
	for i := range pages {
		want := make([]byte, 4096)
		if i >= third && (pages%7 != 0 || i%7 == 0) {
			want = pattern(i)
		}
		if !bytes.Equal(page(i), want) {
			return fmt.Errorf("page %d of %d differs: % x…", i, pages, page(i)[:8])
		}
	}
	time.Sleep(5 * time.Millisecond)
	return nil
}

// faults touches memory that must not be touched.
func faults(seed uint64) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	m, err := unix.Mmap(-1, 0, 2*4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	for i := range 20 {
		at := int(seed+uint64(i)*409) % len(m)
		if err := recovered(func() { m[at] = 1 }); err != nil {
			return err
		}
		var p *int
		if err := recovered(func() { *p = 1 }); err != nil {
			return err
		}
	}
	time.Sleep(5 * time.Millisecond)
	return nil
}

func recovered(do func()) (err error) {
	defer func() {
		if _, ok := recover().(runtime.Error); !ok {
			err = fmt.Errorf("no fault")
		}
	}()
	do()
	return nil
}

// threads makes threads of their own, each of which ends with its goroutine.
func threads(seed uint64) error {
	var sum atomic.Uint64
	var all sync.WaitGroup
	for i := range uint64(8) {
		all.Go(func() {
			runtime.LockOSThread() // and never unlock
			_, _, hash := series(500)
			sum.Add(hash ^ seed ^ i)
		})
	}
	all.Wait()
	want := uint64(0)
	for i := range uint64(8) {
		_, _, hash := series(500)
		want += hash ^ seed ^ i
	}
	if sum.Load() != want {
		return differ("sum of the threads", sum.Load(), want)
	}
	time.Sleep(10 * time.Millisecond)
	return nil
}

// signals sends itself signals and counts those that come.
func signals(uint64) error {
	ch := make(chan os.Signal, 64)
	signal.Notify(ch, syscall.SIGUSR1)
	defer signal.Stop(ch)
	for range 20 {
		if err := unix.Kill(unix.Getpid(), unix.SIGUSR1); err != nil {
			return err
		}
		<-ch // watch tells if it never comes
	}
	time.Sleep(5 * time.Millisecond)
	return nil
}

// timers checks that no timer is early and that the clock doesn't go back.
func timers(seed uint64) error {
	before := time.Now()
	d := time.Duration(seed%7+1) * time.Millisecond
	select {
	case <-time.After(d):
	case <-time.After(time.Hour):
	}
	if passed := time.Since(before); passed < d {
		return differ("time passed", passed, d)
	}
	sum := sha256.Sum256([]byte("abc"))
	if sum[0] != 0xba || sum[31] != 0xad {
		return differ("SHA-256 of abc", fmt.Sprintf("%x", sum), "ba78…15ad")
	}
	return nil
}
