package virtiommio

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"wick/kernel/hw"
)

func TestFromCommandLine(t *testing.T) {
	for _, c := range []struct {
		line string
		want []Device
	}{
		{"", nil},
		{"console=ttyS0 quiet", nil},
		{"virtio_mmio.device=512@0xfeb00e00:12", []Device{{0xfeb00e00, 512, 12, hw.Edge}}}, // QEMU
		{"reboot=k panic=1 virtio_mmio.device=4K@0xc0001000:5 virtio_mmio.device=4K@0xc0002000:6\n", // Firecracker
			[]Device{{0xc0001000, 4096, 5, hw.Edge}, {0xc0002000, 4096, 6, hw.Edge}}},
		{"\tvirtio_mmio.device=0x200@3g:0x17:2 -- virtio_mmio.device=512@0xfeb00e00:12", []Device{{3 << 30, 512, 23, hw.Edge}}},
		{"xvirtio_mmio.device=512@0xfeb00e00:12", nil},
	} {
		got, err := FromCommandLine(c.line)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %+v, %v, want %+v", c.line, got, err, c.want)
		}
	}
}

func TestFromCommandLineWrong(t *testing.T) {
	for _, wrong := range []string{
		"", "512", "512@", "512@0xfeb00e00", "512@0xfeb00e00:", "@0xfeb00e00:12", "512@:12", "512:0xfeb00e00@12",
		"512@0xfeb00e00:256", "512@0xfeb00e00:-1", "512@0xfeb00e00:12:", "512@0xfeb00e00:12:x", "512@0xfeb00e00:12:1:1",
		"0@0xfeb00e00:12", "512@0:12", "512@0xfeb00e01:12", "512@0x100000000:12", "512@0xffffff00:12", "16G@0x1000:12",
		"512T@0xfeb00e00:12", "K@0xfeb00e00:12", "18446744073709551615G@0xfeb00e00:12", "99999999999999999999@0x1000:1",
	} {
		got, err := FromCommandLine("virtio_mmio.device=" + wrong + " virtio_mmio.device=512@0x1000:1")
		if !errors.Is(err, ErrAnnouncement) || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: error %v", wrong, err)
		}
		if !slices.Equal(got, []Device{{0x1000, 512, 1, hw.Edge}}) {
			t.Errorf("%q: %+v, want the other device only", wrong, got)
		}
	}
}

// qemuDSDT is the table of QEMU 7.2 with -M microvm,acpi=on and two devices.
func qemuDSDT(t testing.TB) []byte {
	t.Helper()
	table, err := os.ReadFile("testdata/qemu-microvm.dsdt")
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestFromDSDTOfQEMU(t *testing.T) {
	got, err := FromDSDT(qemuDSDT(t))
	want := []Device{{0xfeb02e00, 512, 47, hw.Level}, {0xfeb02c00, 512, 46, hw.Level}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// amlDevice returns a device in the form that Firecracker writes: a PkgLength of one byte more, edges, other names in between.
func amlDevice(id string, resources []byte) []byte {
	body := []byte("V000\x08_UID\x0d0\x00\x08_HID\x0d" + id + "\x00\x08_CCA\x01\x08_CRS\x11")
	b := append([]byte{0x0a, byte(len(resources))}, resources...)
	body = append(append(body, byte(len(b)+1)), b...)
	n := len(body) + 2
	return append([]byte{0x5b, 0x82, 0x40 | byte(n&15), byte(n >> 4)}, body...)
}

// template returns a resource template.
func template(base, size, line uint32, flags byte) []byte {
	b := []byte{0x86, 9, 0, 1}
	b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, base), size)
	b = binary.LittleEndian.AppendUint32(append(b, 0x89, 6, 0, flags, 1), line)
	return append(b, 0x79, 0)
}

func TestFromDSDTWithEdges(t *testing.T) {
	table := slices.Concat([]byte("DSDT"), make([]byte, 32),
		amlDevice("LNRO0005", template(0xc0001000, 4096, 5, 3)), amlDevice("PNP0A03", template(1, 2, 3, 1)),
		amlDevice("LNRO0005", template(0xc0002000, 4096, 6, 3)))
	got, err := FromDSDT(table)
	if want := []Device{{0xc0001000, 4096, 5, hw.Edge}, {0xc0002000, 4096, 6, hw.Edge}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestFromDSDTWrong(t *testing.T) {
	good := template(0x1000, 512, 1, 3)
	for name, resources := range map[string][]byte{
		"no memory":            good[12:],
		"no interrupt":         slices.Concat(good[:12], good[21:]),
		"memory cut off":       good[:8],
		"interrupt cut off":    good[:17],
		"nothing":              nil,
		"line too high":        template(0x1000, 512, 256, 3),
		"no size":              template(0x1000, 0, 1, 3),
		"beyond 4 GiB":         template(0xffffff00, 512, 1, 3),
		"address of 0":         template(0, 512, 1, 3),
		"address with 2 in it": template(0x1002, 512, 1, 3),
	} {
		table := slices.Concat(amlDevice("LNRO0005", resources), amlDevice("LNRO0005", good))
		got, err := FromDSDT(table)
		if !errors.Is(err, ErrAnnouncement) || !slices.Equal(got, []Device{{0x1000, 512, 1, hw.Edge}}) {
			t.Errorf("%s: got %+v, %v, want the other device only", name, got, err)
		}
	}
	if got, err := FromDSDT([]byte("\x08_HID\x0dLNRO0005\x00")); got != nil || !errors.Is(err, ErrAnnouncement) {
		t.Errorf("an id outside of devices: %+v, %v", got, err)
	}
}

func FuzzFromCommandLine(f *testing.F) {
	f.Add("virtio_mmio.device=512@0xfeb00e00:12 -- x")
	f.Add("virtio_mmio.device=4K@0xc0001000:5:0 virtio_mmio.device=")
	f.Fuzz(func(t *testing.T, line string) {
		devices, err := FromCommandLine(line)
		checkDevices(t, devices, err)
		if n := strings.Count(line, parameter); len(devices) > n {
			t.Errorf("%d devices of %d", len(devices), n)
		}
	})
}

func FuzzFromDSDT(f *testing.F) {
	f.Add(qemuDSDT(f))
	f.Add(amlDevice("LNRO0005", template(0xc0001000, 4096, 5, 3)))
	f.Fuzz(func(t *testing.T, table []byte) {
		devices, err := FromDSDT(table)
		checkDevices(t, devices, err)
	})
}

// checkDevices checks what the package promises of devices and errors.
func checkDevices(t *testing.T, devices []Device, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrAnnouncement) {
		t.Errorf("error %v", err)
	}
	for _, d := range devices {
		if d.Base == 0 || d.Base%4 != 0 || d.Size == 0 || d.Base+d.Size > 1<<32 || d.Trigger != hw.Edge && d.Trigger != hw.Level {
			t.Errorf("got %+v", d)
		}
	}
}
