package vm

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/test/programs"
)

// TestEchoInALittleMemory has the example serve in 24 MiB, of which the kernel and the program's file take half.
func TestEchoInALittleMemory(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: goProgram(t, "/examples/echo"), capture: true,
				flags: []string{"-m", "24M", "-p", "0:7/udp", "-p", "0:7", "-p", "0:80"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool {
				return line == "echo: serving UDP port 7, TCP port 7, web port 80"
			})
			addr := r.port("7/tcp")
			for range 30 {
				if err := echoTCP(addr); err != nil {
					t.Error(err)
				}
			}
			for range 10 {
				echoUDP(t, r.port("7/udp"))
			}
			for n := 1; n <= 20; n++ {
				fetch(t, "http://"+r.port("80/tcp")+"/page", fmt.Sprintf("request number %d.", n))
			}
			interrupt(t, r)
			r.want(0)
		})
	}
}

// TestMemoryIsAccountedFor: what the kernel tells of the memory with -v is all of it but for a MiB, which firmware, video memory of
// PCs and the start of other CPUs have; so most of what is below the image is used.
func TestMemoryIsAccountedFor(t *testing.T) {
	const sizeMiB = 40
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: goProgram(t, "stdio"), args: []string{"args"},
				flags: []string{"-m", fmt.Sprintf("%dM", sizeMiB)}})
			r.want(0)
			for _, when := range []string{"before", "after"} {
				_, line, _ := strings.Cut(r.stderr.String(), "kernel: memory "+when+" the program, in KiB: ")
				line, _, _ = strings.Cut(line, "\n")
				var image, initrd, kernel, devices, program, free, sum int
				_, err := fmt.Sscanf(line, "image %d, initial RAM disk %d, kernel %d, devices %d, program %d, free %d",
					&image, &initrd, &kernel, &devices, &program, &free)
				for _, n := range []int{image, initrd, kernel, devices, free} {
					if n <= 0 {
						t.Errorf("%s the program: a part of nothing", when)
					}
					sum += n
				}
				if sum += program; err != nil || sum > sizeMiB<<10 || sum < (sizeMiB-1)<<10 {
					t.Errorf("%s the program: %d KiB of %d, %v, in %q", when, sum, sizeMiB<<10, err, line)
				}
			}
		})
	}
}

// TestAppetite has a program take all memory there is: it is the program that ends, and the kernel says why.
func TestAppetite(t *testing.T) {
	for _, c := range fewestAndMost {
		for _, memory := range []string{"24M", "128M"} {
			for _, how := range []string{"hog", "thread hog"} {
				t.Run(c.String()+"/"+memory+"/"+how, func(t *testing.T) {
					t.Parallel()
					r := start(t, options{configuration: c, program: cProgram(t, "fault", programs.Musl), quiet: true,
						flags: []string{"-m", memory}, args: strings.Fields(how)})
					r.want(statusBySignal + int(unix.SIGKILL))
					if !strings.Contains(r.stderr.String(), "memory") {
						t.Errorf("nothing about memory in:\n%s", r.stderr)
					}
				})
			}
		}
	}
}

// TestFullMemory has programs do all sorts of things when they have taken all memory there is for them: some fail, some are killed, but
// the machine goes on.
func TestFullMemory(t *testing.T) {
	for _, c := range []struct {
		configuration
		memory string
	}{
		{configuration{machine: "pc", cpus: 1, model: "default"}, "24M"},
		{configuration{machine: "q35", cpus: 2, model: "max"}, "48M"},
		{configuration{machine: "microvm", cpus: 4, model: "default"}, "128M"},
	} {
		t.Run(c.String()+"/"+c.memory, func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c.configuration, program: cProgram(t, "full", programs.Musl), flags: []string{"-m", c.memory}})
			r.want(0)
		})
	}
}

// TestLimitsInALittleMemory has a program ask a small machine for all there is of everything, again and again.
func TestLimitsInALittleMemory(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: cProgram(t, "limits", programs.Musl), flags: []string{"-m", "24M"}})
			r.want(0)
		})
	}
}
