// Echo is an ordinary network server: it sends back what it gets by UDP and TCP on port 7 [RFC 862], and shows
// a small web page on port 80. It knows nothing of wick.
//
// On Linux, on ports that need no privilege:
//
//	go run ./examples/echo -echo 7007 -web 8080
//
// In a VM:
//
//	CGO_ENABLED=0 go build -o bin/echo ./examples/echo
//	wick run -p 20000:7/udp -p 20001:7 -p 20002:80 bin/echo
//
// Then, from another terminal: curl http://127.0.0.1:20002/
//
// It ends on SIGINT or SIGTERM, after the connections that are open have had two seconds to end too.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	echoPort := flag.Int("echo", 7, "`port` of the UDP and TCP echo; 0 picks a free one")
	webPort := flag.Int("web", 80, "`port` of the web page; 0 picks a free one")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "echo: unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *echoPort, *webPort); err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done or a server fails.
func run(ctx context.Context, echoPort, webPort int) error {
	s, err := listen(echoPort, webPort)
	if err != nil {
		return err
	}
	fmt.Printf("echo: serving UDP port %d, TCP port %d, web port %d\n", s.udpPort(), s.tcpPort(), s.webPort())
	return s.serve(ctx)
}
