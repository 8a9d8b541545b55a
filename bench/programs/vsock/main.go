// Vsock is the server of make bench for machines with a vsock device, an ordinary static program as bench/programs/server is.
//
//	port  7   echo
//	port  9   discard: reads until the end, then closes
//	port 19   source: writes until the peer is gone
//
// It prints "vsock: ready" when all of them are open.
package main

import (
	"fmt"
	"math"
	"net"
	"os"

	"github.com/mdlayher/vsock"
)

func main() {
	for port, serve := range map[uint32]func(c net.Conn, buf []byte) error{7: echo, 9: discard, 19: source} {
		l, err := vsock.ListenContextID(math.MaxUint32, port, nil) // VMADDR_CID_ANY, as there may be no /dev/vsock
		if err != nil {
			fmt.Println("vsock:", err)
			os.Exit(1)
		}
		go accept(l, serve)
	}
	fmt.Println("vsock: ready")
	select {}
}

// accept calls serve with each connection, again and again until it fails.
func accept(l net.Listener, serve func(c net.Conn, buf []byte) error) {
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Println("vsock:", err)
			os.Exit(1)
		}
		go func() {
			defer c.Close()
			for buf := make([]byte, 64<<10); serve(c, buf) == nil; {
			}
		}()
	}
}

func echo(c net.Conn, buf []byte) error {
	n, err := c.Read(buf)
	if err == nil {
		_, err = c.Write(buf[:n])
	}
	return err
}

func discard(c net.Conn, buf []byte) error {
	_, err := c.Read(buf)
	return err
}

func source(c net.Conn, buf []byte) error {
	_, err := c.Write(buf)
	return err
}
