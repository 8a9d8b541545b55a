package main

import (
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"wick/test/programs/check"
)

// pipeSplicedByTwo has two threads move the bytes of one pipe to files: each byte must arrive once.
func pipeSplicedByTwo(t *check.T) {
	const pieces, piece = 300, 4000
	r, w := newPipe(t, unix.O_CLOEXEC)
	dir := tempDir(t)
	var moved atomic.Int64
	var wg sync.WaitGroup
	for _, name := range []string{"/one", "/two"} {
		out := openFile(t, dir+name, os.O_WRONLY|os.O_CREATE)
		wg.Go(func() {
			for {
				n, err := unix.Splice(r, nil, int(out.Fd()), nil, 777, 0)
				if err == unix.EINTR {
					continue
				}
				if n == 0 || err != nil {
					t.WantErr("splice", err, nil)
					return
				}
				moved.Add(n)
			}
		})
	}
	for i := range pieces {
		b := make([]byte, piece)
		for k := range b {
			b[k] = byte(i)
		}
		_, err := unix.Write(w, b) // in one step, as it is less than PIPE_BUF
		for err == unix.EINTR {
			_, err = unix.Write(w, b)
		}
		t.Must(err)
	}
	t.Must(unix.Close(w))
	wg.Wait()
	check.Equal(t, "bytes moved", moved.Load(), pieces*piece)
	var seen [256]int
	for _, name := range []string{"/one", "/two"} {
		b, err := os.ReadFile(dir + name)
		t.Must(err)
		for _, v := range b {
			seen[v]++
		}
	}
	for v, n := range seen {
		want := pieces / len(seen) * piece
		if v < pieces%len(seen) {
			want += piece
		}
		if n != want {
			t.Errorf("byte %d has arrived %d times, want %d", v, n, want)
		}
	}
}
