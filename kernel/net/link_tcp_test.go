package net

import (
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sendAll sends n pseudo-random bytes and returns their checksum.
func sendAll(s Socket, n int, seed uint64) (uint64, error) {
	r, h := rand.New(rand.NewPCG(seed, 2)), fnv.New64a()
	buf := make([]byte, 1<<16)
	for n > 0 {
		p := buf[:min(n, 1+r.IntN(len(buf)))]
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		h.Write(p)
		n -= len(p)
		for len(p) > 0 {
			err := block(s, waiter.WritableEvents, 0, func() error {
				src := vfs.Bytes(p)
				k, err := s.Write(&src, 0)
				p = p[k:]
				return err
			})
			if err != nil {
				return 0, err
			}
		}
	}
	return h.Sum64(), nil
}

// receiveAll reads to the end of the stream and returns its length and checksum.
func receiveAll(s Socket) (total int, sum uint64, err error) {
	h := fnv.New64a()
	buf := make([]byte, 1<<15)
	for {
		var n int64
		err := block(s, waiter.ReadableEvents, 0, func() (err error) {
			dst := vfs.Bytes(buf)
			n, err = s.Read(&dst, 0)
			return err
		})
		if err != nil || n == 0 {
			return total, h.Sum64(), err
		}
		h.Write(buf[:n])
		total += int(n)
	}
}

// dial connects a new socket of w to sa.
func dial(w *ours, family int, sa []byte) (*oursFD, error) {
	s, err := w.s.NewSocket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	f := &oursFD{Socket: s}
	if err = s.Connect(sa); err == unix.EINPROGRESS {
		err = block(s, waiter.WritableEvents, 0, s.FinishConnect)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return f, nil
}

// acceptOne waits for a connection.
func acceptOne(l Socket) (k Socket, err error) {
	err = block(l, waiter.ReadableEvents, 0, func() (err error) {
		k, _, err = l.Accept(nil)
		return err
	})
	return k, err
}

// listenOn makes a listener on a port.
func listenOn(t *testing.T, w *ours, family int, sa []byte, backlog int) *oursFD {
	t.Helper()
	fd := must[int](t)(w.socket(family, unix.SOCK_STREAM, 0))
	check(t, w.bind(fd, sa))
	check(t, w.listen(fd, backlog))
	return w.fds[fd]
}

// transfer moves n bytes each way over a new connection from a to b.
func transfer(t *testing.T, a, b *ours, family int, sa []byte, l Socket, n int) {
	t.Helper()
	type result struct {
		n   int
		sum uint64
		err error
	}
	var sent, got [2]result
	run := func(i int, s Socket) {
		var wg sync.WaitGroup
		wg.Add(1)
		go func() {
			defer wg.Done()
			sum, err := sendAll(s, n, uint64(i)*7+uint64(n))
			sent[i] = result{n, sum, err}
			if err := s.Shutdown(unix.SHUT_WR); err != nil && sent[i].err == nil {
				sent[i].err = err
			}
		}()
		k, sum, err := receiveAll(s)
		got[i] = result{k, sum, err}
		wg.Wait()
		s.Close()
	}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		k, err := acceptOne(l)
		if err != nil {
			t.Error(err)
			return
		}
		run(1, k)
	}()
	c, err := dial(a, family, sa)
	if err != nil {
		t.Fatal(err)
	}
	run(0, c)
	wg.Wait()
	for i := range 2 {
		if sent[i].err != nil || got[1-i] != sent[i] {
			t.Errorf("%d bytes, direction %d: sent %+v, got %+v", n, i, sent[i], got[1-i])
		}
	}
}

func TestTransfer(t *testing.T) {
	sizes := []int{0, 1, 1 << 10, 100_000, 1 << 20, 16 << 20}
	if testing.Short() {
		sizes = sizes[:5]
	}
	t.Run("clean", func(t *testing.T) {
		a, b, _, _ := testStacks(t, Options{})
		l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
		for _, n := range sizes {
			transfer(t, a, b, unix.AF_INET, sa4("192.0.2.2", 80), l, n)
		}
	})
	t.Run("lossy", func(t *testing.T) {
		a, b, la, lb := testStacks(t, Options{})
		la.setFate(lossy(1))
		lb.setFate(lossy(2))
		l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
		for _, n := range []int{1, 1 << 10, 1 << 20} {
			transfer(t, a, b, unix.AF_INET, sa4("192.0.2.2", 80), l, n)
		}
	})
	t.Run("loopback", func(t *testing.T) {
		w := newOurs(t)
		l := listenOn(t, w, unix.AF_INET, sa4("127.0.0.1", 80), 10)
		for _, n := range sizes {
			transfer(t, w, w, unix.AF_INET, sa4("127.0.0.1", 80), l, n)
		}
	})
	t.Run("IPv6 loopback", func(t *testing.T) {
		w := newOurs(t)
		l := listenOn(t, w, unix.AF_INET6, sa6("::", 80), 10)
		transfer(t, w, w, unix.AF_INET6, sa6("::1", 80), l, 1<<20)
	})
	t.Run("IPv6 link-local", func(t *testing.T) {
		a, b, _, _ := testStacks(t, Options{})
		l := listenOn(t, b, unix.AF_INET6, sa6("::", 80), 10)
		sa := sa6("fe80::ff:fe00:2", 80) // EUI-64 of 02:00:00:00:00:02
		sa[24] = 2
		transfer(t, a, b, unix.AF_INET6, sa, l, 1<<20)
	})
}

// settle waits until the machine holds no more than it did, and fails if it never does.
func settle(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testPatience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never; goroutines:\n%s", what, goroutineDump())
		}
		time.Sleep(time.Millisecond)
	}
}

func TestManyConnections(t *testing.T) {
	t.Run("in a row", func(t *testing.T) {
		a, b, _, _ := testStacks(t, Options{TimeWait: 10 * time.Millisecond})
		l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 10)
		goroutines := runtime.NumGoroutine()
		for i := range 1000 {
			c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 80))
			if err != nil {
				t.Fatal(i, err)
			}
			k, err := acceptOne(l)
			check(t, err)
			must[uint64](t)(sendAll(c, 100, 1))
			if i%3 == 0 { // each end closes first now and then
				k.Close()
				c.Close()
			} else {
				c.Close()
				receiveAll(k)
				k.Close()
			}
		}
		settle(t, "connections", func() bool { return connections(a.s) == 0 && connections(b.s) == 0 })
		settle(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
		if a.s.Sockets() != 0 || b.s.Sockets() != 1 {
			t.Errorf("%d and %d sockets are left, want 0 and 1", a.s.Sockets(), b.s.Sockets())
		}
	})
	t.Run("at once", func(t *testing.T) {
		a, b, _, _ := testStacks(t, Options{})
		l := listenOn(t, b, unix.AF_INET, sa4("0.0.0.0", 80), 300)
		const many = 200
		var wg sync.WaitGroup
		wg.Add(2 * many)
		go func() {
			for range many {
				k, err := acceptOne(l)
				if err != nil {
					t.Error(err)
					return
				}
				go func() { // echo
					defer wg.Done()
					defer k.Close()
					buf := make([]byte, 4096)
					for {
						var n int64
						if err := block(k, waiter.ReadableEvents, 0, func() (err error) {
							dst := vfs.Bytes(buf)
							n, err = k.Read(&dst, 0)
							return err
						}); err != nil || n == 0 {
							return
						}
						for p := buf[:n]; len(p) > 0; {
							if err := block(k, waiter.WritableEvents, 0, func() error {
								src := vfs.Bytes(p)
								w, err := k.Write(&src, 0)
								p = p[w:]
								return err
							}); err != nil {
								t.Error(err)
								return
							}
						}
					}
				}()
			}
		}()
		for i := range many {
			go func() {
				defer wg.Done()
				c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 80))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				sum, err := sendAll(c, 10_000, uint64(i))
				if err != nil {
					t.Error(err)
					return
				}
				c.Shutdown(unix.SHUT_WR)
				if n, got, err := receiveAll(c); n != 10_000 || got != sum || err != nil {
					t.Errorf("echo %d: %d bytes, %v", i, n, err)
				}
			}()
		}
		wg.Wait()
	})
}

func TestTimeWaitIsBounded(t *testing.T) {
	w := newOurs(t)
	l := listenOn(t, w, unix.AF_INET, sa4("127.0.0.1", 80), 10)
	for range 4000 {
		c, err := dial(w, unix.AF_INET, sa4("127.0.0.1", 80))
		check(t, err)
		k, err := acceptOne(l)
		check(t, err)
		k.Close()
		if n, _, err := receiveAll(c); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		c.Close()
	}
	settle(t, "far fewer connections remembered than within a minute", func() bool {
		return w.s.engine.(*netstack).stack.Stats().TCP.CurrentConnected.Value() <= 300
	})
	for n, want := range map[int64]time.Duration{0: time.Minute, 255: time.Minute, 256: 10 * time.Second, 5000: timeWaitLeast} {
		if got := timeWait(n, time.Minute); got != want {
			t.Errorf("with %d connections each is kept for %v, want %v", n, got, want)
		}
	}
	if got := timeWait(300, time.Second); got != time.Second {
		t.Errorf("kept for %v, longer than set", got)
	}
}

// connections is the number of TCP endpoints that the engine still has, and are not listeners.
func connections(s *Stack) int {
	n := 0
	for _, ep := range s.engine.(*netstack).stack.RegisteredEndpoints() {
		if t, ok := ep.(interface{ State() uint32 }); ok && linuxTCPState(tcp.EndpointState(t.State())) != 10 {
			n++
		}
	}
	return n + len(s.engine.(*netstack).stack.CleanupEndpoints())
}
