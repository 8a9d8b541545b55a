package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bzImageOf makes a kernel image with a payload.
func bzImageOf(payload []byte) []byte {
	b := make([]byte, 3*512, 3*512+100+len(payload)+4)
	b[setupSectorsAt] = 2
	copy(b[magicAt:], "HdrS")
	binary.LittleEndian.PutUint32(b[payloadOffsetAt:], 100)
	binary.LittleEndian.PutUint32(b[payloadLengthAt:], uint32(len(payload)+4))
	b = append(b, make([]byte, 100)...)
	b = append(b, payload...)
	return append(b, "size"...)
}

func TestVmlinux(t *testing.T) {
	elf := []byte(elfMagic + strings.Repeat("kernel", 1000))
	zip := exec.Command("gzip", "-c")
	zip.Stdin = bytes.NewReader(elf)
	packed, err := zip.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string][]byte{"plain": elf, "gzip": packed} {
		got, err := vmlinux(bzImageOf(payload))
		if err != nil || !bytes.Equal(got, elf) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestVmlinuxRefuses(t *testing.T) {
	for name, image := range map[string][]byte{
		"nothing": nil, "no bzImage": make([]byte, 10_000), "unknown compression": bzImageOf([]byte("what is this?")),
		"cut off": bzImageOf(make([]byte, 1000))[:2000], "broken gzip": bzImageOf([]byte("\x1f\x8b and so on")),
	} {
		if _, err := vmlinux(image); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := vmlinux(make([]byte, 10_000)); !errors.Is(err, errNoBzImage) {
		t.Error(err)
	}
}

// The archive's entries, and that each begins at a multiple of 4.
func TestInitramfs(t *testing.T) {
	b := initramfs([]byte("init!"), []byte("the program"), []module{{"e1000", []byte("module")}})
	var names []string
	for len(b) > 0 {
		if string(b[:6]) != "070701" {
			t.Fatalf("no entry: %q", b[:min(len(b), 20)])
		}
		field := func(i int) int {
			raw := b[6+8*i : 14+8*i]
			n := 0
			for _, c := range raw {
				n = n<<4 | strings.IndexByte("0123456789abcdef", c)
			}
			return n
		}
		size, nameSize := field(6), field(11)
		name := string(b[110 : 110+nameSize-1])
		data := (110 + nameSize + 3) &^ 3
		names = append(names, name+"="+string(b[data:data+size]))
		b = b[(data+size+3)&^3:]
	}
	want := []string{"dev=", "dev/console=", "dev/null=", "dev/zero=", "init=init!", "program=the program", "lib=", "lib/e1000.ko=module",
		"modules=/lib/e1000.ko\n", "TRAILER!!!="}
	if !slices.Equal(names, want) {
		t.Errorf("got %q\nwant %q", names, want)
	}
}

func TestModulesComeBehindWhatTheyNeed(t *testing.T) {
	dir := t.TempDir()
	for name, depends := range map[string]string{"virtio-net": "virtio,net_failover", "virtio": "", "net_failover": "failover", "failover": ""} {
		path := filepath.Join(dir, "deep", name+".ko")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte("ELF\x00depends="+depends+"\x00retpoline=Y\x00"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := findModules(dir, "virtio_net")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.name)
	}
	if want := []string{"virtio", "failover", "net_failover", "virtio_net"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if _, err := findModules(dir, "e1000"); err == nil {
		t.Error("a module that isn't there was found")
	}
}
