package ground

import (
	"path/filepath"
	"reflect"
	"runtime"
	"sort"
	"strings"
	"testing"
	_ "unsafe" // for go:linkname

	"wick/kernel/ground/record"
)

// SAFETY: unsafe is imported for go:linkname only.

// lastModule is the address of the table of this program's module. The linker lets others refer to it.
//
//go:linkname lastModule runtime.lastmoduledatap
var lastModule uintptr

func findRuntime() { bootHeader[bootModule] = uint64(lastModule) }

func textAt(a uint64) string {
	var b strings.Builder
	for ; a != 0 && *p8(a) != 0; a++ {
		b.WriteByte(*p8(a))
	}
	return b.String()
}

// plainName is a name without the type arguments, which the runtime leaves out.
func plainName(s string) string {
	if open, end := strings.Index(s, "["), strings.LastIndex(s, "]"); open >= 0 && end > open {
		return s[:open] + s[end+1:]
	}
	return s
}

// TestSymbols compares what ground says of addresses in this test with what the runtime says, inlined functions included.
func TestSymbols(t *testing.T) {
	findRuntime()
	inlined := 0
	for _, f := range []any{sort.Slice, strings.Map, filepath.Glob, (*testing.T).Run, textAt, record.AddPacket, runtime.GC, runtime.CallersFrames, TestSymbols} {
		start := reflect.ValueOf(f).Pointer()
		for pc := start; runtime.FuncForPC(pc+1).Entry() == start; pc++ {
			fn := functionAt(uint64(pc))
			if fn.start != uint64(start) {
				t.Fatalf("%#x is in a function at %#x, not %#x", pc, fn.start, start)
			}
			for at := uint64(pc); at != 0; {
				frames := runtime.CallersFrames([]uintptr{uintptr(at) + 1}) // they are return addresses
				want, _ := frames.Next()
				if want.Line == 0 {
					break // behind the end of the function
				}
				got := fn.placeOf(at)
				name := textAt(got.name)
				if plainName(name) != plainName(want.Function) || textAt(got.file) != want.File || got.line != uint64(want.Line) {
					t.Fatalf("%#x: %s %s:%d, want %s %s:%d", at, name, textAt(got.file), got.line, want.Function, want.File, want.Line)
				}
				if isInlined := want.Func == nil; isInlined != (got.parent != 0) {
					t.Fatalf("%#x: the caller of %s is at %#x; is it inlined? %v", at, name, got.parent, isInlined)
				}
				if at = got.parent; at != 0 {
					inlined++
				}
			}
		}
	}
	if inlined == 0 {
		t.Error("no inlined function among those looked at")
	}
	for _, pc := range []uint64{0, 1, *p64(bootHeader[bootModule] + modText) - 1, *p64(bootHeader[bootModule] + modTextEnd), 1<<64 - 1} {
		if f := functionAt(pc); f.info != 0 {
			t.Errorf("%#x is in a function: %+v", pc, f)
		}
	}
}

// TestFrames walks the stack of this test, and compares it with the runtime's walk.
func TestFrames(t *testing.T) {
	findRuntime()
	deep(5, func() {
		var pcs [32]uintptr
		frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
		base := frameBase()
		pc, sp := *p64(base + 8), base+16
		for {
			f := functionAt(pc - 1)
			for at := pc - 1; at != 0; at = f.placeOf(at).parent {
				if strings.Contains(textAt(f.placeOf(at).name), ".gowrap") {
					continue // the runtime doesn't tell
				}
				want, _ := frames.Next()
				if got := f.placeOf(at); textAt(got.name) != want.Function || got.line != uint64(want.Line) {
					t.Fatalf("%s line %d, want %s line %d", textAt(got.name), got.line, want.Function, want.Line)
				}
			}
			size, ok := f.frameSize(pc - 1)
			if !ok {
				if want, more := frames.Next(); more {
					t.Fatalf("the walk ends before %s", want.Function)
				}
				return
			}
			pc, sp = *p64(sp + size), sp+size+8
		}
	})
}

//go:noinline
func deep(n int, do func()) int {
	if n == 0 {
		do()
		return 0
	}
	return deep(n-1, do) + 1
}
