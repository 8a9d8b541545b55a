package hostlink

import (
	"errors"
	"testing"
)

func TestPayloadsRoundTrip(t *testing.T) {
	for _, want := range []ExitStatus{{false, 0}, {false, 255}, {true, 11}} {
		if got, err := ParseExit(want.Append(nil)); err != nil || got != want {
			t.Errorf("Exit: got %v %v, want %v", got, err, want)
		}
	}
	window := Window{Rows: 24, Columns: 300}
	if got, err := ParseWinSize(window.Append(nil)); err != nil || got != window {
		t.Errorf("WinSize: got %v %v", got, err)
	}
	modes := Modes{Lflag: 0x8a3b, Iflag: 0x500, Oflag: 5}
	if got, err := ParseTermMode(modes.Append(nil)); err != nil || got != modes {
		t.Errorf("TermMode: got %v %v", got, err)
	}
	times := BootTimes{Stub: 1, Ground: 1 << 40, Runtime: 3, Kernel: 4, Ready: 5, Program: 1<<64 - 1}
	if got, err := ParseTiming(times.Append(nil)); err != nil || got != times {
		t.Errorf("Timing: got %v %v", got, err)
	}
	if got, err := ParseCredit(AppendCredit(nil, 1<<20)); err != nil || got != 1<<20 {
		t.Errorf("Credit: got %v %v", got, err)
	}
	if got, err := ParseSignal(AppendSignal(nil, 2)); err != nil || got != 2 {
		t.Errorf("Signal: got %v %v", got, err)
	}
	if err := ParseReady(AppendReady(nil)); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

func TestPayloadsAreChecked(t *testing.T) {
	for size := range 50 {
		p := make([]byte, size)
		for _, c := range []struct {
			typ   Type
			size  int
			parse func([]byte) error
		}{
			{Exit, 5, func(p []byte) error { _, err := ParseExit(p); return err }},
			{WinSize, 4, func(p []byte) error { _, err := ParseWinSize(p); return err }},
			{TermMode, 12, func(p []byte) error { _, err := ParseTermMode(p); return err }},
			{Credit, 4, func(p []byte) error { _, err := ParseCredit(p); return err }},
			{Timing, 48, func(p []byte) error { _, err := ParseTiming(p); return err }},
			{Signal, 1, func(p []byte) error { _, err := ParseSignal(p); return err }},
			{Ready, 1, ParseReady},
		} {
			err := c.parse(p)
			if wrong := errors.As(err, new(*PayloadError)); wrong != (size != c.size) {
				t.Errorf("%v of %d bytes: got %v", c.typ, size, err)
			}
		}
	}
	for _, c := range []struct {
		want string
		err  error
	}{
		{"hostlink: Exit frame with 2 bytes of payload, want 5", second(ParseExit(make([]byte, 2)))},
		{"hostlink: kind of exit: got 2, want 0 or 1", second(ParseExit([]byte{2, 0, 0, 0, 0}))},
		{"hostlink: signal: got 65, want 1 to 64", second(ParseSignal([]byte{65}))},
		{"hostlink: version: got 9, want 1", ParseReady([]byte{9})},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("got %v, want %s", c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestTypeNames(t *testing.T) {
	for typ, want := range map[Type]string{Ready: "Ready", Credit: "Credit", 0: "type 0", 200: "type 200"} {
		if got := typ.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
