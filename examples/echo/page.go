package main

import (
	"fmt"
	"html"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// page is the web page.
type page struct {
	started time.Time
	served  atomic.Int64 // requests so far
}

// newPage returns a page whose up-time starts now.
func newPage() *page { return &page{started: time.Now()} }

const pageText = `<!DOCTYPE html>
<html lang="en">
<title>%[1]s</title>
<h1>Hello from %[1]s</h1>
<p>You are %[2]s and asked for %[3]s, request number %[4]d.</p>
<p>I am a %[5]s program for %[6]s/%[7]s, process %[8]d, up for %[9]s.</p>
</html>
`

// ServeHTTP answers GET and HEAD for every path.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a computer without a name"
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, pageText, html.EscapeString(host), html.EscapeString(r.RemoteAddr), html.EscapeString(r.URL.Path),
		p.served.Add(1), runtime.Version(), runtime.GOOS, runtime.GOARCH, os.Getpid(),
		time.Since(p.started).Round(time.Millisecond))
}
