// Server is the network server that the guests of make bench run: an ordinary static program that knows nothing of the
// kernel beneath it.
//
//	UDP  7   echo [RFC 862]
//	TCP  7   echo
//	TCP  9   discard: reads until the end, then closes [RFC 863]
//	TCP 19   source: writes until the peer is gone
//	TCP 80   a short page by HTTP
//
// It prints "server: ready" when all of them are open.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// chunk is the size of the buffer of a connection, in bytes.
const chunk = 64 << 10

func main() {
	if err := run(); err != nil {
		fmt.Println("server:", err)
		os.Exit(1)
	}
}

func run() error {
	datagrams, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 7})
	if err != nil {
		return err
	}
	go echoDatagrams(datagrams)
	for port, serve := range map[int]func(net.Conn){7: echo, 9: discard, 19: source} {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: port})
		if err != nil {
			return err
		}
		go accept(l, serve)
	}
	page, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: 80})
	if err != nil {
		return err
	}
	fmt.Println("server: ready")
	return http.Serve(page, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "hello, world\n")
	}))
}

func echoDatagrams(c *net.UDPConn) {
	buf := make([]byte, chunk)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			fmt.Println("server: UDP:", err)
			return
		}
		c.WriteToUDPAddrPort(buf[:n], from) // what can't be sent is lost, as datagrams are
	}
}

func accept(l *net.TCPListener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Println("server:", err)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// echo reads and writes by itself: io.Copy would use splice where the kernel has it, and then two kernels would not do the
// same work. The same holds for the two below.
func echo(c net.Conn) {
	buf := make([]byte, chunk)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func discard(c net.Conn) {
	buf := make([]byte, chunk)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

func source(c net.Conn) {
	buf := make([]byte, chunk)
	for {
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}
