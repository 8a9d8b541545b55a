// Nettests exchanges datagrams with a server on the host, as the network lab of MIT 6.828 does: one, then a
// hundred in a row with a new socket each, then ten at once. Each must come back as it was sent. It knows
// nothing of wick.
//
// The server, on the host:
//
//	go run ./examples/nettests/server 26099
//
// On Linux, against the loopback interface:
//
//	go run ./examples/nettests -host 127.0.0.1 26099
//
// In a VM, where 10.0.2.2 is the host:
//
//	CGO_ENABLED=0 go build -o bin/nettests ./examples/nettests
//	wick run bin/nettests 26099
//
// It exits with 0 if all exchanges were right, 1 if one wasn't, 2 if it was called wrongly.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	greeting       = "hello world!"
	inARow         = 100
	atOnce         = 10
	defaultTimeout = 10 * time.Second
)

func main() {
	host := flag.String("host", "10.0.2.2", "`address` of the server")
	timeout := flag.Duration("timeout", defaultTimeout, "how long to wait for a reply")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: nettests [-host ADDRESS] [-timeout D] PORT")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	port, err := strconv.ParseUint(flag.Arg(0), 10, 16)
	if err != nil || port == 0 {
		fmt.Fprintf(os.Stderr, "nettests: %q is not a port\n", flag.Arg(0))
		os.Exit(2)
	}
	t := tests{server: net.JoinHostPort(*host, flag.Arg(0)), timeout: *timeout}
	if err := t.run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "nettests:", err)
		os.Exit(1)
	}
}

// tests says where the server is and how long it may take.
type tests struct {
	server  string
	timeout time.Duration
}

// run does all tests and reports each on a line of out. It ends at the first failure.
func (t tests) run(out io.Writer) error {
	fmt.Fprintf(out, "nettests with %s\n", t.server)
	for _, test := range []struct {
		name string
		do   func() error
	}{
		{"one ping", t.ping},
		{fmt.Sprintf("%d pings in a row", inARow), t.pingInARow},
		{fmt.Sprintf("%d pings at once", atOnce), t.pingAtOnce},
	} {
		fmt.Fprintf(out, "testing %s: ", test.name)
		if err := test.do(); err != nil {
			fmt.Fprintln(out, "FAILED")
			return fmt.Errorf("%s: %w", test.name, err)
		}
		fmt.Fprintln(out, "OK")
	}
	fmt.Fprintln(out, "all tests passed")
	return nil
}

// ping sends the greeting from a new socket, and checks that it comes back.
func (t tests) ping() error {
	conn, err := net.Dial("udp", t.server)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(t.timeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte(greeting)); err != nil {
		return err
	}
	buf := make([]byte, 128)
	n, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if got := string(buf[:n]); got != greeting {
		return fmt.Errorf("sent %q, got %q", greeting, got)
	}
	return nil
}

// pingInARow does one ping after the other.
func (t tests) pingInARow() error {
	for i := range inARow {
		if err := t.ping(); err != nil {
			return fmt.Errorf("ping %d of %d: %w", i+1, inARow, err)
		}
	}
	return nil
}

// pingAtOnce does many pings at the same time.
func (t tests) pingAtOnce() error {
	errs := make([]error, atOnce)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = t.ping() })
	}
	wg.Wait()
	return errors.Join(errs...)
}
