package profile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

// program builds and runs testdata/program, and returns its symbols with what it printed.
func program(t *testing.T) (*Symbols, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, string(out)
}

// TestFrames compares with what the runtime says of the same addresses.
func TestFrames(t *testing.T) {
	s, printed := program(t)
	known := false
	for line := range strings.Lines(printed) {
		var pc uint64
		var name string
		var at int
		if _, err := fmt.Sscanf(line, "%x %s %d", &pc, &name, &at); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		frames := s.Frames(pc - 1)
		i := slices.IndexFunc(frames, func(f Frame) bool { return f.Name == name && f.Line == at })
		if i < 0 {
			t.Errorf("%#x: got %v, the runtime says %s, line %d", pc, frames, name, at)
		}
		if name == "main.within" {
			known = true
			want := []Frame{{Function{"main.within", 21}, 22}, {Function{"main.inlined", 17}, 18}, {Function{"main.outer", 13}, 14}}
			if !slices.Equal(frames, want) {
				t.Errorf("got %v, want %v", frames, want)
			}
		}
	}
	if !known {
		t.Errorf("main.within is not on the stack:\n%s", printed)
	}
	if f := s.Frames(1); f != nil {
		t.Errorf("address 1: %v", f)
	}
}

func TestCode(t *testing.T) {
	s, printed := program(t)
	var pc uint64
	fmt.Sscanf(printed, "%x", &pc)
	code, offset := s.Code(pc)
	if offset <= 0 || offset > len(code) || !bytes.Contains(code[:offset], prologue) {
		t.Errorf("main.outer returns to its offset %d, and is % x", offset, code)
	}
	if code, _ := s.Code(1); code != nil {
		t.Errorf("address 1: % x", code)
	}
}

func TestUnwind(t *testing.T) {
	// The caller's frame is at 0x1020, its caller's at 0x1040, which is the last.
	memory := make([]byte, 0x50)
	word := func(at, value uint64) { binary.LittleEndian.PutUint64(memory[at-0x1000:], value) }
	word(0x1000, 0xa0)
	word(0x1008, 0xa8)
	word(0x1020, 0x1040)
	word(0x1028, 0xb0)
	word(0x1048, 0xc0)
	code := append([]byte{0x90, 0x90}, prologue...)
	code = append(code, 0x90, 0x90, ret)
	for _, tt := range []struct {
		name   string
		code   []byte
		offset int
		want   []uint64
	}{
		{"before the frame", code, 1, []uint64{1, 0xa0, 0xb0, 0xc0}},
		{"with BP pushed", code, 3, []uint64{1, 0xa8, 0xb0, 0xc0}},
		{"in the frame", code, 6, []uint64{1, 0xb0, 0xc0}},
		{"at the end", code, 8, []uint64{1, 0xa0, 0xb0, 0xc0}},
		{"without a frame", []byte{0x90, 0x90}, 1, []uint64{1, 0xa0, 0xb0, 0xc0}},
		{"in no function", nil, 0, []uint64{1, 0xa0, 0xb0, 0xc0}},
	} {
		if got := unwind(registers{1, 0x1000, 0x1020}, tt.code, tt.offset, memory); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %#x, want %#x", tt.name, got, tt.want)
		}
	}
	for _, bp := range []uint64{0, 0xff0, 0x104c, 1 << 40, ^uint64(0)} {
		if got := unwind(registers{1, 0x1000, bp}, code, 6, memory); len(got) != 1 {
			t.Errorf("BP is %#x: got %#x", bp, got)
		}
	}
	word(0x1040, 0x1020) // a loop
	if got := unwind(registers{1, 0x1000, 0x1020}, code, 6, memory); len(got) != 3 {
		t.Errorf("a loop: got %#x", got)
	}
}

func TestParseRegisters(t *testing.T) {
	const text = "RAX=00000000000406a0 RBX=ffffc0004b00e000\r\nRSI=0 RDI=0 RBP=ffffc0004aef8788 RSP=ffffc0004aef8770\r\n" +
		"RIP=ffffffff802d9789 RFL=00000006 [-----P-] CPL=%d II=0 A20=1 SMM=0 HLT=%d\r\n"
	want := registers{0xffffffff802d9789, 0xffffc0004aef8770, 0xffffc0004aef8788}
	for _, tt := range []struct {
		cpl, hlt int
		where    Where
	}{{0, 0, Kernel}, {3, 0, User}, {0, 1, Idle}} {
		if where, r, err := parseRegisters(fmt.Sprintf(text, tt.cpl, tt.hlt)); where != tt.where || r != want || err != nil {
			t.Errorf("CPL %d, HLT %d: got %v %#x, %v", tt.cpl, tt.hlt, where, r, err)
		}
	}
	if _, _, err := parseRegisters("EIP=0000fff0 CPL=0 HLT=0"); err == nil {
		t.Error("a CPU in real mode: no error")
	}
}

// TestWrite reads what it writes.
func TestWrite(t *testing.T) {
	s, printed := program(t)
	var stack []uint64
	for line := range strings.Lines(printed) {
		var pc uint64
		fmt.Sscanf(line, "%x", &pc)
		if len(stack) == 0 || stack[len(stack)-1] != pc {
			stack = append(stack, pc)
		}
	}
	stack = append([]uint64{s.functions[0].ranges[0][0]}, stack...)
	var b bytes.Buffer
	samples := []Sample{{Kernel, stack}, {Kernel, stack}, {Kernel, []uint64{1}}, {Kernel, append(stack[:2:2], 1)}}
	if err := Write(&b, samples, s); err != nil {
		t.Fatal(err)
	}
	p, err := profile.Parse(&b)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 2 || p.Sample[0].Value[0]+p.Sample[1].Value[0] != 3 {
		t.Errorf("got %v, want a stack twice and another once", p.Sample)
	}
	found := slices.ContainsFunc(p.Function, func(f *profile.Function) bool { return f.Name == "main.inlined" && f.StartLine == 17 })
	if !found {
		t.Error("main.inlined, line 17, is missing")
	}
}

func TestLoadTellsWhatIsWrong(t *testing.T) {
	for _, file := range []string{"profile_test.go", "/nonexistent"} {
		if _, err := Load(file); err == nil {
			t.Errorf("%s: no error", file)
		}
	}
}
