package vfs

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

func TestPipeEnds(t *testing.T) {
	r, w := newPipe(new(memory))
	rd, wr := NewOpenFile(r, unix.O_RDONLY), NewOpenFile(w, unix.O_WRONLY)
	buf := make([]byte, 10)
	b := Bytes(buf)
	if _, err := rd.Read(&b); err != unix.EAGAIN {
		t.Errorf("read of an empty pipe: %v", err)
	}
	if _, err := wr.Read(&b); err != unix.EBADF {
		t.Errorf("read of the write end: %v", err)
	}
	if _, err := rd.Write(&b); err != unix.EBADF {
		t.Errorf("write of the read end: %v", err)
	}
	if _, err := rd.Seek(0, 0); err != unix.ESPIPE {
		t.Errorf("seek: %v", err)
	}
	if _, err := rd.ReadAt(&b, 0); err != unix.ESPIPE {
		t.Errorf("pread: %v", err)
	}
	write(t, wr, "hello")
	if got := r.Readiness(waiter.AllEvents); got != waiter.ReadableEvents {
		t.Errorf("readiness %#x", got)
	}
	wr.Release()
	if got := r.Readiness(waiter.AllEvents); got != waiter.ReadableEvents|waiter.EventHUp {
		t.Errorf("readiness with the writer gone %#x", got)
	}
	if got := readAll(t, rd); got != "hello" {
		t.Errorf("read %q", got)
	}
	if got := r.Readiness(waiter.EventIn); got != waiter.EventHUp {
		t.Errorf("readiness at the end %#x", got)
	}
}

func TestPipeBroken(t *testing.T) {
	r, w := newPipe(new(memory))
	r.Close()
	b := Bytes("x")
	if _, err := w.Write(&b, 0); err != unix.EPIPE {
		t.Errorf("write = %v, want EPIPE", err)
	}
	if got := w.Readiness(waiter.EventOut); got != waiter.EventOut|waiter.EventErr {
		t.Errorf("readiness %#x", got)
	}
}

func TestPipeAtomicWrites(t *testing.T) {
	_, w := newPipe(new(memory))
	fill := Bytes(make([]byte, PipeSize-100))
	if n, err := w.Write(&fill, 0); n != PipeSize-100 || err != nil {
		t.Fatalf("write = %d, %v", n, err)
	}
	b := Bytes(make([]byte, 101))
	if _, err := w.Write(&b, 0); err != unix.EAGAIN {
		t.Errorf("a write of 101 bytes into room for 100 = %v, want EAGAIN", err)
	}
	b = Bytes(make([]byte, PipeBuf+1))
	if n, err := w.Write(&b, 0); n != 100 || err != nil {
		t.Errorf("a write of more than PipeBuf = %d, %v; want 100", n, err)
	}
	if _, err := w.Write(&b, 0); err != unix.EAGAIN {
		t.Errorf("a write into a full pipe = %v", err)
	}
}

func TestPipeCapacity(t *testing.T) {
	r, w := newPipe(new(memory))
	data := bytes.Repeat([]byte("0123456789abcdef"), 1024)
	b := Bytes(data)
	w.Write(&b, 0)
	var got [1000]byte
	b = Bytes(got[:])
	r.Read(&b, 0)
	for _, c := range []struct {
		size, want int
		err        error
	}{{1 << 20, 1 << 20, nil}, {1<<20 + 1, 0, unix.EPERM}, {4096, 0, unix.EBUSY}, {16384, 16384, nil}, {20000, 32768, nil}, {-1, 0, unix.EINVAL}} {
		if n, err := w.SetCapacity(c.size); n != c.want || err != c.err {
			t.Errorf("SetCapacity(%d) = %d, %v; want %d, %v", c.size, n, err, c.want, c.err)
		}
	}
	w.Close()
	rest := readAll(t, NewOpenFile(r, unix.O_RDONLY))
	if rest != string(data[1000:]) {
		t.Error("bytes are lost or out of order")
	}
}

// faultyDst takes n bytes and then faults.
type faultyDst struct{ room, good int }

func (d *faultyDst) Len() int { return d.room }

func (d *faultyDst) Write(p []byte) (int, error) {
	n := min(len(p), d.good)
	d.good -= n
	d.room -= n
	if n < len(p) {
		return n, unix.EFAULT
	}
	return n, nil
}

func TestPipeFaultLosesNothing(t *testing.T) {
	r, w := newPipe(new(memory))
	b := Bytes("hello world")
	w.Write(&b, 0)
	if n, err := r.Read(&faultyDst{room: 20, good: 5}, 0); n != 5 || err != nil {
		t.Errorf("read = %d, %v; want 5", n, err)
	}
	if n, err := r.Read(&faultyDst{room: 20}, 0); n != 0 || err != unix.EFAULT {
		t.Errorf("read = %d, %v; want EFAULT", n, err)
	}
	w.Close()
	if got := readAll(t, NewOpenFile(r, unix.O_RDONLY)); got != " world" {
		t.Errorf("left: %q", got)
	}
}

// TestPipeAgainstLinux does the same random operations on a pipe of ours and one of Linux's. Sizes are
// whole pages where Linux, which counts pages and not bytes, would differ.
func TestPipeAgainstLinux(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getpagesize() != PipeBuf {
		t.Skip("needs Linux pipes")
	}
	for seed := range uint64(40) {
		comparePipes(t, rand.New(rand.NewPCG(seed, 1)))
	}
}

func comparePipes(t *testing.T, rnd *rand.Rand) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	r, w := newPipe(new(memory))
	open := [2]bool{true, true}
	defer func() {
		for i, fd := range fds {
			if open[i] {
				unix.Close(fd)
			}
		}
	}()
	ours, theirs := make([]byte, 5*PipeSize), make([]byte, 5*PipeSize)
	errno := func(err error) error {
		if e, ok := err.(unix.Errno); ok && e != 0 {
			return e
		}
		return nil
	}
	for step := range 100 {
		n := rnd.IntN(20) * PipeBuf
		switch op := rnd.IntN(20); {
		case op == 0 && step > 50 && open[0]:
			open[0] = false
			unix.Close(fds[0])
			r.Close()
		case op == 1 && step > 50 && open[1]:
			open[1] = false
			unix.Close(fds[1])
			w.Close()
		case op < 11 && open[1]:
			fillRandom(rnd, ours[:n])
			b := Bytes(ours[:n])
			got, err := w.Write(&b, 0)
			want, werr := unix.Write(fds[1], ours[:n])
			if max(got, 0) != int64(max(want, 0)) || errno(err) != errno(werr) {
				t.Fatalf("step %d: write of %d = %d, %v; Linux: %d, %v", step, n, got, err, want, werr)
			}
		case open[0]:
			b := Bytes(ours[:n])
			got, err := r.Read(&b, 0)
			want, werr := unix.Read(fds[0], theirs[:n])
			if max(got, 0) != int64(max(want, 0)) || errno(err) != errno(werr) {
				t.Fatalf("step %d: read of %d = %d, %v; Linux: %d, %v", step, n, got, err, want, werr)
			}
			if got > 0 && !bytes.Equal(ours[:got], theirs[:got]) {
				t.Fatalf("step %d: different bytes", step)
			}
		}
		comparePoll(t, step, open, fds, r, w)
	}
}

// fillRandom sets a few bytes of each page, which is enough to see a mistake.
func fillRandom(rnd *rand.Rand, p []byte) {
	for i := 0; i < len(p); i += 1 + rnd.IntN(1000) {
		p[i] = byte(rnd.Uint32())
	}
}

func comparePoll(t *testing.T, step int, open [2]bool, fds [2]int, r, w *PipeEnd) {
	for i, end := range []*PipeEnd{r, w} {
		if !open[i] {
			continue
		}
		p := []unix.PollFd{{Fd: int32(fds[i]), Events: unix.POLLIN | unix.POLLOUT}}
		unix.Poll(p, 0)
		if got := end.Readiness(waiter.EventIn | waiter.EventOut); uint32(got) != uint32(p[0].Revents) {
			t.Fatalf("step %d: end %d: readiness %#x; Linux: %#x", step, i, got, p[0].Revents)
		}
	}
}

// TestPipeStream sends bytes through a pipe with blocking readers and writers.
func TestPipeStream(t *testing.T) {
	r, w := newPipe(new(memory))
	const total = 1 << 20
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		rnd := rand.New(rand.NewPCG(1, 2))
		for sent := 0; sent < total; {
			chunk := make([]byte, min(1+rnd.IntN(100000), total-sent))
			for i := range chunk {
				chunk[i] = byte((sent + i) * 7)
			}
			for len(chunk) > 0 {
				n := int64(0)
				err := Wait(newSleeper(), w, waiter.WritableEvents, noDeadline, func() (err error) {
					b := Bytes(chunk)
					n, err = w.Write(&b, 0)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				chunk = chunk[n:]
				sent += int(n)
			}
		}
		w.Close()
	}()
	rnd := rand.New(rand.NewPCG(3, 4))
	for got := 0; ; {
		chunk := make([]byte, 1+rnd.IntN(100000))
		n := int64(0)
		err := Wait(newSleeper(), r, waiter.ReadableEvents, noDeadline, func() (err error) {
			b := Bytes(chunk)
			n, err = r.Read(&b, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if got != total {
				t.Errorf("%d bytes, want %d", got, total)
			}
			break
		}
		for i, c := range chunk[:n] {
			if c != byte((got+i)*7) {
				t.Fatalf("byte %d is wrong", got+i)
			}
		}
		got += int(n)
	}
	wg.Wait()
}

func TestPipeReopen(t *testing.T) {
	r, w := newPipe(new(memory))
	again, err := r.Reopen(unix.O_WRONLY)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	b := Bytes("x")
	if _, err := r.Read(&b, 0); err != unix.EAGAIN {
		t.Errorf("read = %v, want EAGAIN: there is a writer left", err)
	}
	again.Close()
	b = Bytes("x")
	if n, err := r.Read(&b, 0); n != 0 || err != nil {
		t.Errorf("read = %d, %v; want the end", n, err)
	}
}

// What one splice is about to move, nobody else reads, and then what it has left.
func TestPeekedPipeIsForOneReader(t *testing.T) {
	r, w := newPipe(new(memory))
	src := Bytes("abcdef")
	if _, err := w.Write(&src, 0); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if n, err := r.Peek(b); n != 4 || err != nil {
		t.Fatalf("Peek: %d, %v", n, err)
	}
	var woken atomic.Int32
	entry := waiter.NewFunctionEntry(waiter.ReadableEvents, func(waiter.EventMask) { woken.Add(1) })
	r.EventRegister(&entry)
	defer r.EventUnregister(&entry)
	dst := Bytes(make([]byte, 10))
	if n, err := r.Read(&dst, 0); n != 0 || err != unix.EAGAIN || r.Readiness(waiter.ReadableEvents) != 0 {
		t.Errorf("Read by another: %d, %v; it is ready: %v", n, err, r.Readiness(waiter.ReadableEvents))
	}
	if n, err := r.Peek(make([]byte, 1)); n != 0 || err != unix.EAGAIN {
		t.Errorf("Peek by another: %d, %v", n, err)
	}
	r.Discard(3)
	if woken.Load() == 0 || r.Readiness(waiter.ReadableEvents) == 0 {
		t.Error("who waits isn't told of the rest")
	}
	got := make([]byte, 10)
	dst = got
	if n, err := r.Read(&dst, 0); string(got[:n]) != "def" || err != nil {
		t.Errorf("the rest is %q, %v", got[:n], err)
	}
}
