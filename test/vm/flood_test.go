package vm

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"wick/test/programs"
)

// TestFloodIntoFullMemory sends all it can to a machine whose program has taken all memory and reads nothing: the kernel drops what it
// can't keep, goes on, and hears its program's packets when there is memory again.
func TestFloodIntoFullMemory(t *testing.T) {
	for _, c := range []struct {
		configuration
		memory string
	}{
		{configuration{machine: "pc", cpus: 2, model: "default", nic: "e1000"}, "24M"},
		{configuration{machine: "q35", cpus: 1, model: "max"}, "32M"},
		{configuration{machine: "microvm", cpus: 2, model: "default"}, "24M"},
		{configuration{machine: "microvm", cpus: 4, model: "max"}, "48M"},
	} {
		t.Run(c.String()+"/"+c.memory, func(t *testing.T) {
			t.Parallel()
			stdin, over := io.Pipe()
			defer over.Close()
			r := start(t, options{configuration: c.configuration, program: cProgram(t, "flooded", programs.Musl), stdin: stdin,
				flags: []string{"-m", c.memory, "-p", "0:7/udp", "-p", "0:7"}})
			r.awaitLine(r.stdout, "memory was full", func(line string) bool { return line == "full" })
			udp, tcp := r.port("7/udp"), r.port("7/tcp")
			end := time.Now().Add(5 * time.Second)
			var floods sync.WaitGroup
			floods.Go(func() { floodUDP(udp, end) })
			for range 4 {
				floods.Go(func() { floodTCP(tcp, end) })
			}
			floods.Wait()
			over.Close()
			quitByDatagram(t, r, udp)
			r.want(0)
		})
	}
}

// floodUDP sends up to 10,000 full datagrams a second.
func floodUDP(addr string, end time.Time) {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	full := bytes.Repeat([]byte("x"), 1400)
	for ; time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		for range 20 {
			c.Write(full) // an error is a machine that has ended, which is found out later
		}
	}
}

// floodTCP opens up to 60 connections and sends as much as each takes.
func floodTCP(addr string, end time.Time) {
	data := make([]byte, 64<<10)
	var floods sync.WaitGroup
	defer floods.Wait()
	for range 100 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			continue
		}
		floods.Go(func() {
			defer c.Close()
			c.SetDeadline(end)
			for {
				if _, err := c.Write(data); err != nil {
					return
				}
			}
		})
	}
}

// quitByDatagram has the program end by a datagram, sent again as long as it may be lost.
func quitByDatagram(t *testing.T, r *run, addr string) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		c.Write([]byte("quit"))
		select {
		case <-r.done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
