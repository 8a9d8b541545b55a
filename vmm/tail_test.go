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

func TestTailOfOneLongWrite(t *testing.T) {
	tail := newTail(10, nil)
	tail.Write([]byte(strings.Repeat("x", 1000) + "\nthe end"))
	if got := tail.String(); got != "the end" {
		t.Errorf("got %q", got)
	}
}
