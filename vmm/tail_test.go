package vmm

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestTailKeepsTheLastLines(t *testing.T) {
	var all bytes.Buffer
	tail := newTail(100, &all)
	var want strings.Builder
	for i := range 1000 {
		fmt.Fprintf(tail, "line %d\r\n", i)
		fmt.Fprintf(&want, "line %d\n", i)
		if got := tail.String(); !strings.HasSuffix(want.String(), got) || !strings.HasPrefix(got, "line ") {
			t.Fatalf("after line %d: got %q", i, got)
		}
		if len(tail.String()) < 90 && i > 20 || len(tail.String()) > 200 {
			t.Fatalf("after line %d: %d bytes are kept", i, len(tail.String()))
		}
	}
	if all.String() != want.String() {
		t.Error("the other writer did not get all of it")
	}
}

func TestTailFromSomewhere(t *testing.T) {
	tail := newTail(20, nil)
	tail.Write([]byte("one\r\ntwo\n"))
	at := tail.Size()
	if got := tail.From(at); got != "" {
		t.Errorf("behind the end: %q", got)
	}
	tail.Write([]byte("three\n"))
	if got := tail.From(at); got != "three\n" {
		t.Errorf("got %q", got)
	}
	for range 10 {
		tail.Write([]byte("and more\n"))
	}
	if got := tail.From(at); !strings.HasSuffix(got, "and more\n") || !strings.HasPrefix(got, "and more\n") || len(got) > 40 {
		t.Errorf("of what is not kept any more: %q", got)
	}
	if got := tail.Size(); got != at+6+90 {
		t.Errorf("size %d, want %d", got, at+96)
	}
}

func TestTailOfOneLongWrite(t *testing.T) {
	tail := newTail(10, nil)
	tail.Write([]byte(strings.Repeat("x", 1000) + "\nthe end"))
	if got := tail.String(); got != "the end" {
		t.Errorf("got %q", got)
	}
}
