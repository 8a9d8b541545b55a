package vm

import (
	"strings"
	"testing"

	"wick/test/programs"
)

// TestFreshRandomness runs a program several times: nothing of what should be random is twice the same, with RDRAND and
// without.
func TestFreshRandomness(t *testing.T) {
	const runs, kinds = 4, 6
	for _, c := range onePerModel {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			path := cProgram(t, "places", programs.GlibcPIE)
			seen := map[string]bool{}
			for range runs {
				r := start(t, options{configuration: c, program: path})
				r.want(0)
				told := lines(r.stdout.String())
				if len(told) != kinds {
					t.Fatalf("%q", told)
				}
				for _, line := range told {
					if seen[line] {
						t.Errorf("%q more than once", line)
					}
					seen[line] = true
				}
			}
		})
	}
}

// TestEntropyDevice: the kernel takes in what the host's entropy device gives, over PCI and MMIO; one that gives little, or stops
// answering, keeps no program from running.
func TestEntropyDevice(t *testing.T) {
	for _, c := range []struct {
		name    string
		machine string
		flags   []string
		globals []string
		want    []string
	}{
		{"pc", "pc", nil, nil, []string{"virtio: entropy source: PCI ", "kernel: 32 bytes of entropy from the host"}},
		{"q35", "q35", nil, nil, []string{"virtio: entropy source: PCI ", "kernel: 32 bytes of entropy from the host"}},
		{"microvm", "microvm", nil, nil, []string{"virtio: entropy source: MMIO", "kernel: 32 bytes of entropy from the host"}},
		{"silent", "pc", nil, []string{"virtio-rng-pci.max-bytes=8", "virtio-rng-pci.period=3600000"},
			[]string{"wick: the entropy device has failed: virtiorng: the device doesn't answer", "kernel: 8 bytes of entropy from the host"}},
		{"none", "pc", []string{"--serial-link"}, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := options{configuration: configuration{machine: c.machine, cpus: 1, model: "default"}, flags: c.flags,
				program: cProgram(t, "places", programs.GlibcPIE)}
			if c.globals != nil {
				o.env = withGlobals(t, c.globals...)
			}
			r := start(t, o)
			r.want(0)
			for _, want := range c.want {
				if !strings.Contains(r.stderr.String(), want) {
					t.Errorf("not told: %q\n%s", want, r.tail())
				}
			}
			if told := strings.Contains(r.stderr.String(), "entropy from the host"); told != (c.want != nil) {
				t.Errorf("entropy from the host: %v", told)
			}
		})
	}
}
