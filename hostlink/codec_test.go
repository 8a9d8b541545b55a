package hostlink

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func frames(t *testing.T, r *Reader) (got []Frame) {
	t.Helper()
	for {
		f, err := r.Next()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		got = append(got, Frame{f.Type, bytes.Clone(f.Payload)})
	}
}

func TestWriterReaderRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, smallPayload, smallPayload + 1, MaxPayload} {
		payload := bytes.Repeat([]byte{magic0, magic1, 3}, size/3+1)[:size]
		var channel bytes.Buffer
		w := NewWriter(&channel)
		for _, typ := range []Type{Stdout, Stderr, StdinEOF} {
			if err := w.WriteFrame(typ, payload); err != nil {
				t.Fatal(err)
			}
		}
		for name, r := range map[string]io.Reader{
			"whole": bytes.NewReader(channel.Bytes()),
			"bytes": iotest.OneByteReader(bytes.NewReader(channel.Bytes())),
			"error": iotest.DataErrReader(bytes.NewReader(channel.Bytes())),
		} {
			got := frames(t, NewReader(r))
			if len(got) != 3 || got[0].Type != Stdout || got[1].Type != Stderr || got[2].Type != StdinEOF {
				t.Fatalf("%s, %d bytes: got %d frames", name, size, len(got))
			}
			for _, f := range got {
				if !bytes.Equal(f.Payload, payload) {
					t.Fatalf("%s: payload of %d bytes came back as %d others", name, size, len(f.Payload))
				}
			}
		}
	}
}

func TestHeaderIsTheSpecifiedOne(t *testing.T) {
	var channel bytes.Buffer
	if err := NewWriter(&channel).WriteFrame(Stdout, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	want := []byte{0xA7, 0x57, 4, 0, 2, 0, 0, 0, 'h', 'i'}
	if !bytes.Equal(channel.Bytes(), want) {
		t.Errorf("got % x, want % x", channel.Bytes(), want)
	}
}

func TestWriterSplitsStreams(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 20000)
	var channel bytes.Buffer
	if err := NewWriter(&channel).WriteFrame(Dump, payload); err != nil {
		t.Fatal(err)
	}
	var joined []byte
	for _, f := range frames(t, NewReader(&channel)) {
		if f.Type != Dump {
			t.Fatalf("got a %v frame", f.Type)
		}
		joined = append(joined, f.Payload...)
	}
	if !bytes.Equal(joined, payload) {
		t.Errorf("%d bytes came back as %d", len(payload), len(joined))
	}
	if err := NewWriter(&channel).WriteFrame(Exit, payload); err != ErrPayloadSize {
		t.Errorf("too large an Exit: got %v", err)
	}
}

func TestReaderNamesWhatIsWrong(t *testing.T) {
	good := string(AppendHeader(nil, Ready, 1)) + "\x01"
	for _, c := range []struct{ bytes, want string }{
		{"SeaBIOS (", "first byte of a frame at byte 9: got 83, want 167"},
		{"\xa7\x58\x01\x00\x00\x00\x00\x00", "second byte of a frame at byte 10: got 88, want 87"},
		{"\xa7\x57\x00\x00\x00\x00\x00\x00", "frame type at byte 11: got 0, want 1 to 14"},
		{"\xa7\x57\x0f\x00\x00\x00\x00\x00", "frame type at byte 11: got 15, want 1 to 14"},
		{"\xa7\x57\x01\x02\x00\x00\x00\x00", "reserved byte at byte 12: got 2, want 0"},
		{"\xa7\x57\x04\x00\x01\x00\x01\x00", "payload length at byte 13: got 65537, want at most 65536"},
	} {
		r := NewReader(strings.NewReader(good + c.bytes))
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		_, err := r.Next()
		var format *FormatError
		if !errors.As(err, &format) || !strings.HasSuffix(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s", c.bytes, err, c.want)
		}
	}
}

func TestReaderResyncs(t *testing.T) {
	frame := string(AppendHeader(nil, Log, 4)) + "next"
	for _, noise := range []string{"x", "garbage", "\xa7", "\xa7\x57", "\xa7\x57\x04", "\xa7\xa7\xa7\x57\xa7", strings.Repeat("\xa7\x57", 9000)} {
		r := NewReader(iotest.HalfReader(strings.NewReader(noise + frame)))
		if _, err := r.Next(); !errors.As(err, new(*FormatError)) {
			t.Fatalf("%.20q: got %v, want a FormatError", noise, err)
		}
		f, err := r.Next()
		if err != nil || f.Type != Log || string(f.Payload) != "next" {
			t.Errorf("%.20q: got %v %q %v", noise, f.Type, f.Payload, err)
		}
		if r.Skipped() != uint64(len(noise)) {
			t.Errorf("%.20q: skipped %d bytes, want %d", noise, r.Skipped(), len(noise))
		}
	}
}

func TestReaderEnds(t *testing.T) {
	frame := string(AppendHeader(nil, Log, 4)) + "next"
	for n := range len(frame) {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := NewReader(strings.NewReader(frame[:n])).Next(); err != want {
			t.Errorf("%d bytes: got %v, want %v", n, err, want)
		}
	}
	broken := errors.New("broken")
	if _, err := NewReader(iotest.ErrReader(broken)).Next(); err != broken {
		t.Errorf("got %v", err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestReaderGivesUpOnIdleChannel(t *testing.T) {
	if _, err := NewReader(idle{}).Next(); err != io.ErrNoProgress {
		t.Errorf("got %v", err)
	}
}

func TestNoAllocationPerFrame(t *testing.T) {
	payload := make([]byte, 1000)
	w := NewWriter(io.Discard)
	if n := testing.AllocsPerRun(100, func() { w.WriteFrame(Stdout, payload) }); n != 0 {
		t.Errorf("WriteFrame: %v allocations", n)
	}
	r := NewReader(&endless{frame: append(AppendHeader(nil, Stdout, 1000), payload...)})
	if n := testing.AllocsPerRun(100, func() { r.Next() }); n != 0 {
		t.Errorf("Next: %v allocations", n)
	}
}

// endless repeats a frame for ever.
type endless struct {
	frame []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.frame[e.at:])
	e.at = (e.at + n) % len(e.frame)
	return n, nil
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(AppendHeader(nil, Log, 4), "next"...))
	f.Add(append([]byte("noise\xa7"), append(AppendHeader(nil, Stdout, 4), "next"...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		var used uint64
		for {
			frame, err := r.Next()
			if errors.As(err, new(*FormatError)) {
				continue
			}
			if err != nil {
				break
			}
			if len(frame.Payload) > MaxPayload || frame.Type == 0 || frame.Type > lastType {
				t.Fatalf("got a %v frame of %d bytes", frame.Type, len(frame.Payload))
			}
			used += uint64(HeaderSize + len(frame.Payload))
		}
		if used+r.Skipped() > uint64(len(data)) {
			t.Fatalf("%d bytes in frames and %d skipped, of %d", used, r.Skipped(), len(data))
		}
	})
}
