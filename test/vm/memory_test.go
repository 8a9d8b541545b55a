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
