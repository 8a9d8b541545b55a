// Command vsockserver serves vsock ports for tests that are at the other end, on the host. It is written as others write
// such programs, with mdlayher/vsock, and has no cases of its own.
//
//	port 1  echoes until the end of what comes, then ends
//	port 2  reads to the end and answers with the number of bytes and their CRC-32
//	port 3  reads a number and a newline, then sends as many bytes, with a pattern
//	port 4  reads lines and does what they say: see command
//	port 5  accepts and reads nothing until the connection is over
package main

import (
	"bufio"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/vsock"
	"golang.org/x/sys/unix"
)

func main() {
	cid, err := vsock.ContextID()
	if err != nil {
		fail(err)
	}
	for port, serve := range map[uint32]func(*vsock.Conn) error{1: echo, 2: sum, 3: source, 4: control, 5: sleep} {
		l, err := vsock.Listen(port, nil)
		if err != nil {
			fail(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					fail(err)
				}
				go func() {
					defer c.Close()
					if err := serve(c.(*vsock.Conn)); err != nil {
						fmt.Printf("port %d: %v\n", port, err)
					}
				}()
			}
		}()
	}
	fmt.Printf("vsockserver: ready, CID %d\n", cid)
	select {}
}

func fail(err error) {
	fmt.Println("vsockserver:", err)
	os.Exit(1)
}

func echo(c *vsock.Conn) error {
	if _, err := io.Copy(c, c); err != nil {
		return err
	}
	return c.CloseWrite()
}

func sum(c *vsock.Conn) error {
	h := crc32.NewIEEE()
	n, err := io.Copy(h, c)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c, "%d bytes, %08x\n", n, h.Sum32())
	return err
}

func source(c *vsock.Conn) error {
	var n int64
	if _, err := fmt.Fscanln(c, &n); err != nil {
		return err
	}
	_, err := io.Copy(c, io.LimitReader(&pattern{}, n))
	return err
}

func sleep(c *vsock.Conn) error {
	for { // until the descriptor says that the other side is gone, which a write shows
		time.Sleep(100 * time.Millisecond)
		if _, err := c.Write([]byte("x")); err != nil {
			return nil
		}
	}
}

// pattern is bytes that are everywhere different.
type pattern struct{ at int }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(p.at ^ p.at>>8 ^ p.at>>16)
		p.at++
	}
	return len(b), nil
}

// control does what lines say, and answers each with a line.
func control(c *vsock.Conn) error {
	for s := bufio.NewScanner(c); s.Scan(); {
		answer := "ok"
		if err := command(s.Text()); err != nil {
			answer = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return err
		}
	}
	return nil
}

// command does what a line says:
//
//	echo PORT BYTES TIMES   connects to a port of the host that echoes, so many times one after the other
//	flood PORT BYTES N      the same, N times at once
//	peer PORT CID BYTES     as echo, once, with a port of another machine
//	hold PORT CID           connects to a port of another machine, tells on standard output when it has read a byte, and reads on
//	again PORT CID TIMES    connects from one socket as many times, each of which must end because nobody answers in time
//	half PORT               ends its direction, then reads to the end; the host sends "after the end"
//	dial PORT               connects only
//	loopback PORT BYTES TIMES   as echo, with a port of its own: by the CID of the machine and by VMADDR_CID_LOCAL
//	last PORT BYTES         sends so many bytes to a port of the host, and exits at once
//	reboot                  ends the machine, which starts again
func command(line string) error {
	var name string
	var port uint32
	var size, times int // size is the CID of peer, hold and again, times the number of bytes
	fmt.Sscan(line, &name, &port, &size, &times)
	switch name {
	case "echo":
		for range times {
			if err := dialEcho(vsock.Host, port, size); err != nil {
				return err
			}
		}
		return nil
	case "flood":
		errs := make(chan error, times)
		var work sync.WaitGroup
		for range times {
			work.Go(func() { errs <- dialEcho(vsock.Host, port, size) })
		}
		work.Wait()
		for range times {
			if err := <-errs; err != nil {
				return err
			}
		}
		return nil
	case "peer":
		return dialEcho(uint32(size), port, times)
	case "hold":
		return hold(uint32(size), port)
	case "again":
		return dialAgain(uint32(size), port, times)
	case "half":
		return dialHalf(port)
	case "dial":
		c, err := vsock.Dial(vsock.Host, port, nil)
		if err != nil {
			return err
		}
		return c.Close()
	case "loopback":
		return loopback(port, size, times)
	case "last":
		c, err := vsock.Dial(vsock.Host, port, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(c, io.LimitReader(&pattern{}, int64(size))); err != nil {
			return err
		}
		os.Exit(0) // without closing anything
	case "reboot":
		os.Exit(100)
	}
	return fmt.Errorf("what is %q?", line)
}

// loopback connects to a port of this machine.
func loopback(port uint32, size, times int) error {
	l, err := vsock.ListenContextID(math.MaxUint32, port, nil) // VMADDR_CID_ANY
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				echo(c.(*vsock.Conn)) // who dials sees what goes wrong
			}()
		}
	}()
	cid, err := vsock.ContextID()
	if err != nil {
		return err
	}
	for range times {
		for _, cid := range []uint32{vsock.Local, cid} {
			if err := dialEcho(cid, port, size); err != nil {
				return fmt.Errorf("CID %d: %w", cid, err)
			}
		}
	}
	return nil
}

func dialEcho(cid, port uint32, size int) error {
	c, err := vsock.Dial(cid, port, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, io.LimitReader(&pattern{}, int64(size)))
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	got, want := crc32.NewIEEE(), crc32.NewIEEE()
	n, err := io.Copy(got, c)
	if err != nil {
		return err
	}
	if err := <-sent; err != nil {
		return err
	}
	io.Copy(want, io.LimitReader(&pattern{}, int64(size)))
	if n != int64(size) || got.Sum32() != want.Sum32() {
		return fmt.Errorf("%d bytes came back of %d, or others", n, size)
	}
	return nil
}

func hold(cid, port uint32) error {
	c, err := vsock.Dial(cid, port, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return err
	}
	fmt.Println("vsockserver: holds a connection")
	_, err = io.Copy(io.Discard, c)
	return err
}

func dialHalf(port uint32) error {
	c, err := vsock.Dial(vsock.Host, port, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.WriteString(c, "before the end"); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != "after the end" {
		err = fmt.Errorf("read %q", got)
	}
	return err
}

// dialAgain connects from one socket to what does not answer, so from one port. With mdlayher/vsock each attempt has a socket of its own.
func dialAgain(cid, port uint32, times int) error {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const patience = 300_000 // µs
	if err := unix.SetsockoptTimeval(fd, unix.AF_VSOCK, unix.SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD, &unix.Timeval{Usec: patience}); err != nil {
		return err
	}
	for i := range times {
		if err := unix.Connect(fd, &unix.SockaddrVM{CID: cid, Port: port}); err != unix.ETIMEDOUT {
			return fmt.Errorf("attempt %d: %v", i+1, err)
		}
	}
	return nil
}
