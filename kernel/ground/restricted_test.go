package ground

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// profile is what the kernel is built with; it makes the compiler inline more.
const profile = "../../cmd/kernel/profile.pgo"

// compile runs the compiler on the package with what it says of escapes, write barriers and bounds checks.
func compile(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "build", "-pgo", profile, "-gcflags=wick/kernel/ground=-d=wb=1,ssa/check_bce -m=1", "wick/kernel/ground")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return strings.Split(string(out), "\n")
}

// What the Go code below the runtime must not do, in the words of the compiler.
var forbidden = []string{
	"escapes to heap", // an allocation
	"moved to heap",
	"write barrier",    // a pointer stored where the garbage collector looks
	"Found IsInBounds", // a bounds check, which could panic
	"Found IsSliceInBounds",
}

// TestRestrictedGo checks that everything but the exported functions, which ordinary Go calls, can run without the
// runtime.
func TestRestrictedGo(t *testing.T) {
	lines := compile(t)
	inlined := false
	for _, line := range lines {
		inlined = inlined || strings.Contains(line, "can inline")
		file := filepath.Base(strings.SplitN(line, ":", 2)[0])
		if strings.HasPrefix(file, "export") {
			continue
		}
		for _, word := range forbidden {
			if strings.Contains(line, word) {
				t.Error(line)
			}
		}
	}
	if !inlined {
		t.Error("the compiler said nothing: are its flags still -m and -d?")
	}
}

// TestRestrictedGoNoticesViolations makes sure that the compiler still uses the words that are looked for.
func TestRestrictedGoNoticesViolations(t *testing.T) {
	dir := t.TempDir()
	source := `package bad
var sink *int
var table [4]int
func Escape() { x := 1; sink = &x }
func Index(i int) int { return table[i] }
`
	for name, text := range map[string]string{"go.mod": "module bad\n", "bad.go": source} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-gcflags=-d=wb=1,ssa/check_bce -m=1", ".")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"moved to heap", "write barrier", "Found IsInBounds"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("the compiler doesn't say %q of code that does it:\n%s", want, out)
		}
	}
}

// kernelELF links a program with ground in it.
func kernelELF(t *testing.T) *elf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kernel.elf")
	cmd := exec.Command("go", "build", "-pgo", profile, "-o", path, "-ldflags", "-T -0x7fdff000 -E wick/kernel/ground.entry", "wick/cmd/kernel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// TestRuntimeOffsets checks what ground knows of the runtime: fields of its structs, two symbols, and that the entry
// point is ground's.
func TestRuntimeOffsets(t *testing.T) {
	file := kernelELF(t)
	symbols, err := file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"runtime.vdsoClockgettimeSym": true, "_rt0_amd64_linux": true}
	for _, s := range symbols {
		delete(want, s.Name)
		if s.Name == "wick/kernel/ground.entry" && s.Value != file.Entry {
			t.Errorf("the entry point is %#x, ground.entry is at %#x", file.Entry, s.Value)
		}
	}
	for name := range want {
		t.Errorf("the runtime has no symbol %s", name)
	}
	data, err := file.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	for name, fields := range map[string]map[string]int64{
		"runtime.g": {"stack": 8 * gStackLo, "stackguard0": 8 * gStackGuard0, "stackguard1": 8 * gStackGuard1,
			"m": gM, "sched": gSched, "syscallsp": gSyscallSP, "syscallpc": gSyscallPC, "atomicstatus": gStatus, "goid": gID,
			"waitreason": gWaitReason, "parentGoid": gCreator, "gopc": gGoPC},
		"runtime.gobuf": {"sp": schedSP, "pc": schedPC},
		"runtime.m":     {"p": mP},
		"runtime.p":     {"schedtick": pSchedTick},
		"runtime.moduledata": {"funcnametab": modFuncNames, "cutab": modCUs, "filetab": modFiles, "pctab": modPCs,
			"pclntable": modFuncs, "ftab": modFuncTab, "text": modText, "etext": modTextEnd, "gofunc": modGoFunc},
		"runtime._func": {"nameOff": funcName, "pcsp": funcPCSP, "pcfile": funcPCFile, "pcln": funcPCLine,
			"npcdata": funcPCDatas, "cuOffset": funcCU, "flag": funcFlags, "nfuncdata": funcDatas},
		"runtime.inlinedCall": {"nameOff": inlinedName, "parentPc": inlinedParent},
	} {
		got := structOffsets(t, data, name)
		for field, want := range fields {
			if off, ok := got[field]; !ok || off != want {
				t.Errorf("%s.%s is at byte %d, ground takes it to be at %d", name, field, off, want)
			}
		}
	}
	if n := arraySize(t, data, "runtime.waitReasonStrings"); n != waitReasons {
		t.Errorf("the runtime has texts for %d wait reasons, ground knows %d", n, waitReasons)
	}
}

func structOffsets(t *testing.T, data *dwarf.Data, name string) map[string]int64 {
	t.Helper()
	r := data.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			t.Fatalf("no type %s in the debug information: %v", name, err)
		}
		if e.Tag != dwarf.TagStructType || e.Val(dwarf.AttrName) != name {
			continue
		}
		typ, err := data.Type(e.Offset)
		if err != nil {
			t.Fatal(err)
		}
		offsets := map[string]int64{}
		for _, f := range typ.(*dwarf.StructType).Field {
			offsets[f.Name] = f.ByteOffset
		}
		return offsets
	}
}

// arraySize returns the number of elements of a variable that is an array.
func arraySize(t *testing.T, data *dwarf.Data, name string) int64 {
	t.Helper()
	r := data.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			t.Fatalf("no variable %s in the debug information: %v", name, err)
		}
		if e.Tag != dwarf.TagVariable || e.Val(dwarf.AttrName) != name {
			continue
		}
		typ, err := data.Type(e.Val(dwarf.AttrType).(dwarf.Offset))
		if err != nil {
			t.Fatal(err)
		}
		return typ.(*dwarf.ArrayType).Count
	}
}
