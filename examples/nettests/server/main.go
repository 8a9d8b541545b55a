// Server is the host's end of nettests: it sends each datagram back to its sender and prints it. It listens
// on the loopback interface only, which is where QEMU's user network brings what a VM sends to 10.0.2.2.
//
//	go run ./examples/nettests/server 26099
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"strconv"
)

func main() {
	quiet := flag.Bool("q", false, "don't print what comes")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: server [-q] PORT   (0 picks a free port)")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	port, err := strconv.ParseUint(flag.Arg(0), 10, 16)
	if err != nil {
		fmt.Fprintf(os.Stderr, "server: %q is not a port\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := serve(int(port), *quiet); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// serve answers until reading fails.
func serve(port int, quiet bool) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Printf("server: listening on UDP %v\n", conn.LocalAddr())
	buf := make([]byte, 64<<10)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if !quiet {
			fmt.Printf("%v: %q\n", from, buf[:n])
		}
		if _, err := conn.WriteToUDPAddrPort(buf[:n], from); err != nil {
			fmt.Fprintf(os.Stderr, "server: to %v: %v\n", from, err)
		}
	}
}
