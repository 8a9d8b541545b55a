package net

import (
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// readFull reads until b is full, as a blocking program.
func readFull(f Socket, b []byte) error {
	for len(b) > 0 {
		var n int64
		try := func() (err error) {
			dst := vfs.Bytes(b)
			n, err = f.Read(&dst, 0)
			return err
		}
		err := try()
		if err == unix.EAGAIN {
			err = block(f, waiter.ReadableEvents, 0, try)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return unix.EPIPE
		}
		b = b[n:]
	}
	return nil
}

func writeFull(f Socket, b []byte) error {
	for len(b) > 0 {
		try := func() error {
			src := vfs.Bytes(b)
			n, err := f.Write(&src, 0)
			b = b[n:]
			return err
		}
		err := try()
		if err == unix.EAGAIN {
			err = block(f, waiter.WritableEvents, 0, try)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkEcho is round trips of 64 bytes between two machines on one cable.
func BenchmarkEcho(b *testing.B) {
	b.Run("TCP", func(b *testing.B) {
		a, z, _, _ := testStacks(b, Options{})
		l, _ := z.s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
		l.Bind(sa4("0.0.0.0", 7))
		l.Listen(1)
		defer l.Close()
		c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 7))
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		one := []byte{1, 0, 0, 0}
		c.SetOption(unix.IPPROTO_TCP, unix.TCP_NODELAY, one)
		k, err := acceptOne(l)
		if err != nil {
			b.Fatal(err)
		}
		k.SetOption(unix.IPPROTO_TCP, unix.TCP_NODELAY, one)
		go echoForever(k)
		roundTrips(b, c)
	})
	b.Run("UDP", func(b *testing.B) {
		a, z, _, _ := testStacks(b, Options{})
		u, _ := z.s.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		u.Bind(sa4("0.0.0.0", 7))
		c, _ := a.s.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		c.Connect(sa4("192.0.2.2", 7))
		defer c.Close()
		stop := make(chan struct{})
		go func() {
			defer close(stop)
			buf := make([]byte, 2048)
			m := Message{WantAddr: true, Addr: make([]byte, 0, 32)}
			for {
				var n int64
				if block(u, waiter.ReadableEvents, 0, func() (err error) {
					m.Addr, m.Flags = m.Addr[:0], 0
					dst := vfs.Bytes(buf)
					n, err = u.Recv(&dst, &m)
					return err
				}) != nil || n == 0 {
					return
				}
				src := vfs.Bytes(buf[:n])
				u.Send(&src, &m)
			}
		}()
		roundTrips(b, c)
		u.Shutdown(unix.SHUT_RDWR)
		<-stop
		u.Close()
	})
}

func echoForever(k Socket) {
	defer k.Close()
	buf := make([]byte, 64)
	for readFull(k, buf) == nil && writeFull(k, buf) == nil {
	}
}

func roundTrips(b *testing.B, c Socket) {
	buf := make([]byte, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if err := writeFull(c, buf); err != nil {
			b.Fatal(err)
		}
		if err := readFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
}

// BenchmarkStream moves data one way between two machines on one cable.
func BenchmarkStream(b *testing.B) {
	a, z, _, _ := testStacks(b, Options{})
	l, _ := z.s.NewSocket(unix.AF_INET, unix.SOCK_STREAM, 0)
	l.Bind(sa4("0.0.0.0", 7))
	l.Listen(1)
	defer l.Close()
	c, err := dial(a, unix.AF_INET, sa4("192.0.2.2", 7))
	if err != nil {
		b.Fatal(err)
	}
	k, err := acceptOne(l)
	if err != nil {
		b.Fatal(err)
	}
	const chunk = 64 << 10
	b.SetBytes(chunk)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		buf := make([]byte, chunk)
		for range b.N {
			if writeFull(c, buf) != nil {
				break
			}
		}
		c.Close()
	}()
	buf := make([]byte, chunk)
	for range b.N {
		if err := readFull(k, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	k.Close()
}

// BenchmarkReceiveUDP is the way of a datagram from the driver into a socket's queue and out again.
func BenchmarkReceiveUDP(b *testing.B) {
	a, _, la, _ := testStacks(b, Options{})
	u, _ := a.s.NewSocket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	defer u.Close()
	u.Bind(sa4("0.0.0.0", 7))
	f := appendUDPFrame(nil, [6]byte{2, 0, 0, 0, 0, 9}, la.mac, addr4(192, 0, 2, 9), addr4(192, 0, 2, 1), 1000, 7, make([]byte, 64))
	buf := make([]byte, 64)
	b.ReportAllocs()
	for range b.N {
		la.receive(f)
		dst := vfs.Bytes(buf)
		if n, err := u.Read(&dst, 0); n != 64 {
			b.Fatal(n, err)
		}
	}
}
