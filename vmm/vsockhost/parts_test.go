package vsockhost

import (
	"strings"
	"testing"
	"time"
)

func TestParseMap(t *testing.T) {
	for _, c := range []struct{ in, port, target string }{
		{"80=tcp:127.0.0.1:8080", "80", "tcp:127.0.0.1:8080"},
		{"0=/run/x.sock", "0", "/run/x.sock"},
		{"4294967294=./x=y", "4294967294", "./x=y"},
		{"1=unix:./x", "1", "./x"},
		{"1=tcp:[::1]:80", "1", "tcp:[::1]:80"},
	} {
		m, err := ParseMap(c.in)
		if port, _ := ParsePort(c.port); err != nil || m.Port != port || m.Target.String() != c.target {
			t.Errorf("%q: %+v, %v", c.in, m, err)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"80", "want PORT=PATH or PORT=tcp:ADDR:PORT"},
		{"x=/y", `"x" is not a vsock port`},
		{"4294967295=/y", "is not a vsock port (0 to 4294967294)"},
		{"-1=/y", `"-1" is not a vsock port`},
		{"80=", `"" is neither a path`},
		{"80=name", `"name" is neither a path, such as ./socket, nor tcp:ADDR:PORT`},
		{"80=tcp:localhost:80", `"tcp:localhost:80" is not an address and a port`},
		{"80=tcp::80", `is not an address and a port`},
		{"80=/" + strings.Repeat("x", 107), "is longer than the 107 bytes"},
	} {
		if _, err := ParseMap(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.in, err)
		}
	}
}

func TestParsePublish(t *testing.T) {
	p, err := ParsePublish("tcp:127.0.0.1:8080=80")
	if err != nil || p.Port != 80 || p.String() != "127.0.0.1:8080 -> guest vsock port 80" {
		t.Errorf("%v, %v", p, err)
	}
	p, err = ParsePublish("./a=b=7")
	if err != nil || p.Port != 7 || p.Target.Path != "./a=b" || p.String() != "a=b -> guest vsock port 7" {
		t.Errorf("%v, %v", p, err)
	}
	for _, bad := range []string{"80", "./x=", "./x=y", "=80", "tcp:1.2.3.4=80"} {
		if p, err := ParsePublish(bad); err == nil {
			t.Errorf("%q: %v", bad, p)
		}
	}
}

// A guest that is refused again and again does not fill the terminal.
func TestLogIsBounded(t *testing.T) {
	var lines []string
	now := time.Now()
	l := newLimiter(func(line string) { lines = append(lines, line) })
	l.now, l.since = func() time.Time { return now }, now
	for i := range 1000 {
		l.printf("line %d", i)
	}
	if len(lines) != logBurst || lines[0] != "line 0" {
		t.Fatalf("%d lines", len(lines))
	}
	now = now.Add(logInterval)
	l.printf("later")
	l.printf("too soon")
	if last := lines[len(lines)-1]; len(lines) != logBurst+1 || last != "later (980 other messages left out)" {
		t.Errorf("%d lines, %q", len(lines), last)
	}
	now = now.Add(time.Hour)
	for range 1000 {
		l.printf("again")
	}
	if len(lines) != 2*logBurst+1 {
		t.Errorf("%d lines", len(lines))
	}
}
