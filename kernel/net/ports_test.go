package net

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whatever has been done with a socket, the ports that it had are free when it has been closed.
func TestPortsAreGivenBack(t *testing.T) {
	w := newOurs(t)
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		family := []int{unix.AF_INET, unix.AF_INET6}[r.IntN(2)]
		typ := []int{unix.SOCK_STREAM, unix.SOCK_STREAM, unix.SOCK_DGRAM}[r.IntN(3)]
		fd, err := w.socket(family, typ, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.nonblock(fd)
		did := []string{fmt.Sprint("family ", family, " type ", typ)}
		had := make(map[int]bool)
		for range 2 + r.IntN(6) {
			did = append(did, w.portStep(r, fd, family))
			if sa, err := w.name(fd); err == nil && portOf(sa) != 0 {
				had[portOf(sa)] = true
			}
		}
		w.close(fd)
		for port := range had {
			// A connection that is refused may end a little later.
			for end := time.Now().Add(testPatience); !w.free(typ, port); time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("seed %d: port %d is still taken: %q", seed, port, did)
				}
			}
		}
	}
}

// free tells whether nobody has a port, for either family.
func (w *ours) free(typ, port int) bool {
	fd, err := w.socket(unix.AF_INET6, typ, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer w.close(fd)
	return w.bind(fd, sa6("::", port)) == nil
}

// As a client does that has its port chosen for it, an address, or not even that.
func TestPortOfAClientOracle(t *testing.T) {
	nowhere := func(family int) []byte {
		if family == unix.AF_INET6 {
			return sa6("::1", 1)
		}
		return sa4("127.0.0.1", 1)
	}
	for _, c := range []struct {
		name   string
		family int
		any    []byte
		to     []byte
	}{
		{"IPv4", unix.AF_INET, sa4("0.0.0.0", 0), nowhere(unix.AF_INET)},
		{"IPv6", unix.AF_INET6, sa6("::", 0), nowhere(unix.AF_INET6)},
		{"IPv4-mapped", unix.AF_INET6, sa6("::", 0), sa6("::ffff:127.0.0.1", 1)},
		{"to no address", unix.AF_INET, sa4("0.0.0.0", 0), sa4("0.0.0.0", 1)},
	} {
		compare(t, "bound to a port only, "+c.name, func(r *trace) {
			fd := r.Socket(c.family, unix.SOCK_STREAM, 0)
			r.Bind(fd, c.any)
			bound := r.Name(fd)
			r.Connect(fd, c.to)
			r.Connect(fd, c.to)
			r.Close(fd)
			again := r.Socket(c.family, unix.SOCK_STREAM, 0)
			r.Bind(again, bound)
			r.Listen(again, 1)
			r.Close(again)
		})
		compare(t, "connected with its port, "+c.name, func(r *trace) {
			l := r.Socket(c.family, unix.SOCK_STREAM, 0)
			r.Bind(l, c.any)
			r.Listen(l, 1)
			fd := r.Socket(c.family, unix.SOCK_STREAM, 0)
			r.Bind(fd, c.any)
			bound := r.Name(fd)
			to := append([]byte(nil), c.to...)
			copy(to[2:4], r.Name(l)[2:4])
			r.Connect(fd, to)
			if portOf(bound) != portOf(r.Name(fd)) {
				t.Errorf("%s: bound to port %d, connected from another", c.name, portOf(bound))
			}
			a := r.Accept(l)
			r.Close(a) // the other end remembers the connection, not this
			r.Read(fd, 1)
			r.Close(fd)
			again := r.Socket(c.family, unix.SOCK_STREAM, 0)
			r.await("the port is free", func() bool { return r.bind(again, bound) == nil })
			r.Close(again)
		})
	}
	compare(t, "listen after a bind that failed", func(r *trace) {
		l := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Bind(l, sa4("127.0.0.1", 0))
		r.Listen(l, 1)
		fd := r.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		r.Bind(fd, r.Name(l))
		r.Name(fd)
		r.Listen(fd, 1)
		if sa := r.Name(fd); len(sa) < 8 || sa[4] != 0 {
			t.Errorf("it listens on %v, want no address", sa)
		}
		r.Close(fd)
		r.Close(l)
	})
}

// portStep does something with a socket that its port may depend on.
func (w *ours) portStep(r *rand.Rand, fd, family int) string {
	any, loopback := sa4("0.0.0.0", 0), sa4("127.0.0.1", 9)
	if family == unix.AF_INET6 {
		any, loopback = sa6("::", 0), sa6("::1", 9)
	}
	switch r.IntN(9) {
	case 0:
		return fmt.Sprint("bind ", w.bind(fd, any))
	case 1, 2:
		return fmt.Sprint("listen ", w.listen(fd, r.IntN(3)))
	case 3:
		how := r.IntN(3)
		return fmt.Sprint("shutdown ", how, " ", w.shutdown(fd, how))
	case 4:
		v := byte(r.IntN(2))
		return fmt.Sprint("SO_REUSEADDR ", v, w.setopt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{v, 0, 0, 0}))
	case 5:
		v := byte(r.IntN(2))
		return fmt.Sprint("SO_REUSEPORT ", v, w.setopt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, []byte{v, 0, 0, 0}))
	case 6:
		v := byte(r.IntN(2))
		return fmt.Sprint("IPV6_V6ONLY ", v, w.setopt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, []byte{v, 0, 0, 0}))
	case 7:
		return fmt.Sprint("connect ", w.connect(fd, loopback))
	}
	return fmt.Sprint("connect to nothing ", w.connect(fd, make([]byte, 16)))
}
