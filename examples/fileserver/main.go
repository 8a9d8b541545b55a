// Fileserver is an ordinary web server for the files of a directory. It knows nothing of wick.
//
//	CGO_ENABLED=0 go build -o bin/fileserver ./examples/fileserver
//	wick run -p 8080:80 --file docs bin/fileserver docs
//
// Then, from another terminal:
//
//	curl http://127.0.0.1:8080/README.md
//
// It ends on SIGINT or SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	port := flag.Uint("port", 80, "TCP `port`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: fileserver [-port PORT] DIRECTORY")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *port > 65535 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, uint16(*port), flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "fileserver:", err)
		os.Exit(1)
	}
}

// serve serves the directory until ctx ends.
func serve(ctx context.Context, port uint16, dir string) error {
	root, err := os.OpenRoot(dir) // links that lead out of it are not followed
	if err != nil {
		return err
	}
	defer root.Close()
	l, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	server := http.Server{Handler: http.FileServerFS(root.FS()), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	fmt.Printf("fileserver: serving %s on port %d\n", dir, l.Addr().(*net.TCPAddr).Port)
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
