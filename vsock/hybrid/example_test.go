package hybrid_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"wick/vsock/hybrid"
)

// A web server in the guest, at vsock port 80: examples/vsockhttp is one.
func Example_http() {
	path, stop := machine()
	defer stop()
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return hybrid.DialContext(ctx, path, 80) },
	}}
	defer client.CloseIdleConnections()
	r, err := client.Get("http://guest/hello")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", body)
	// Output: /hello, through a vsock device
}

// machine stands for wick run --vsock PATH with a web server: it answers as the device does.
func machine() (path string, stop func()) {
	dir, err := os.MkdirTemp("", "vsock")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "v")
	l, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(handshaker{l}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s, through a vsock device\n", r.URL.Path)
	}))
	return path, func() {
		l.Close()
		os.RemoveAll(dir)
	}
}

type handshaker struct{ net.Listener }

func (h handshaker) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err == nil {
		var port uint32
		fmt.Fscanf(c, "CONNECT %d\n", &port)
		fmt.Fprintf(c, "OK %d\n", 1<<30)
	}
	return c, err
}
