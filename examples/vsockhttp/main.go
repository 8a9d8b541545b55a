// Vsockhttp is an ordinary web server on a vsock port instead of a TCP port: it needs no network. It knows nothing of wick.
//
//	CGO_ENABLED=0 go build -o bin/vsockhttp ./examples/vsockhttp
//	wick run --vsock /tmp/v bin/vsockhttp
//
// Then, from another terminal:
//
//	printf 'GET / HTTP/1.0\r\n\r\n' | wick vsock connect /tmp/v 80
//
// or from a program, as in vsock/hybrid's example. It ends on SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mdlayher/vsock"
)

func main() {
	port := flag.Uint("port", 80, "vsock `port`")
	flag.Parse()
	if flag.NArg() > 0 || *port >= 1<<32-1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, uint32(*port)); err != nil {
		fmt.Fprintln(os.Stderr, "vsockhttp:", err)
		os.Exit(1)
	}
}

// endTime is how long open connections have to end, too.
const endTime = 2 * time.Second

// serve serves until ctx is done.
func serve(ctx context.Context, port uint32) error {
	l, err := vsock.Listen(port, nil)
	if err != nil {
		return err
	}
	s := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello from %v. You are %s and asked for %s.\n", l.Addr(), r.RemoteAddr, r.URL.Path)
	})}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.Background(), endTime)
		defer cancel()
		s.Shutdown(end)
	})
	defer stop()
	fmt.Printf("vsockhttp: serving %v\n", l.Addr())
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
