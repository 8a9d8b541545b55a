package programs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"wick/test/programs/peer"
)

// nativeLimit is how long one program may take on a busy machine.
const nativeLimit = 5 * time.Minute

// startPeers starts servers on the loopback interface and returns their addresses.
func startPeers(t *testing.T) Peers {
	t.Helper()
	var p Peers
	for _, family := range []struct {
		host     string
		tcp, udp *string
	}{{"127.0.0.1", &p.TCP, &p.UDP}, {"[::1]", &p.TCP6, &p.UDP6}} {
		tcp, err := peer.ListenTCP(family.host + ":0")
		if err != nil && family.host == "[::1]" {
			t.Logf("without IPv6: %v", err)
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		udp, err := peer.ListenUDP(family.host + ":0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			udp.Close()
			if err := tcp.Close(); err != nil {
				t.Errorf("TCP peer: %v", err)
			}
		})
		*family.tcp = fmt.Sprintf("%s:%d", family.host, tcp.Port())
		*family.udp = fmt.Sprintf("%s:%d", family.host, udp.Port())
	}
	return p
}

// run runs a program and returns its output and exit status; it fails the test if there is none.
func run(t *testing.T, path string, args, env []string, stdin []byte) (output string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), nativeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append([]string{"PATH=/bin"}, env...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", path, err, out)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestNative(t *testing.T) {
	for i := range Suites {
		s := &Suites[i]
		libcs := Libcs
		if s.Go != "" {
			libcs = []Libc{""}
		}
		for _, libc := range libcs {
			t.Run(strings.TrimSuffix(s.Name+"-"+string(libc), "-"), func(t *testing.T) {
				if !s.Alone {
					t.Parallel() // when those that must be alone are done
				}
				if s.Root && os.Getuid() != 0 {
					t.Skip("root's only")
				}
				path := mustBuild(t, func() (string, error) { return s.Build(libc) })
				args, env := s.Command(startPeers(t))
				list, status := run(t, path, []string{"-list"}, nil, nil)
				if status != 0 || list == "" {
					t.Fatalf("-list: status %d, %q", status, list)
				}
				out, status := run(t, path, args, env, nil)
				if status != 0 {
					t.Errorf("status %d\n%s", status, out)
				}
				for name := range strings.Lines(list) {
					if !strings.Contains("\n"+out, "\nok "+name) {
						t.Errorf("case %q has not passed", name)
					}
				}
			})
		}
	}
}

// mustBuild builds a program, or skips the test where there is no compiler; make test installs them.
func mustBuild(t *testing.T, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if errors.Is(err, ErrNoCompiler) && os.Getenv("WICK_VM") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A case that fails must be seen to fail: with a wrong name, and without its peer.
func TestNativeFailure(t *testing.T) {
	path := mustBuild(t, func() (string, error) { return GoBinary("tcp") })
	if out, status := run(t, path, []string{"no-such-case"}, nil, nil); status != 2 {
		t.Errorf("no-such-case: status %d\n%s", status, out)
	}
	out, status := run(t, path, []string{"peer-small", "refused"}, nil, nil)
	if status != 1 || !strings.Contains(out, "FAIL peer-small: ") || !strings.Contains(out, "\nok refused\n") {
		t.Errorf("without a peer: status %d\n%s", status, out)
	}
	path = mustBuild(t, func() (string, error) { return CBinary("sockets", Glibc) })
	out, status = run(t, path, []string{"peer-udp", "udp"}, nil, nil)
	if status != 1 || !strings.Contains(out, "FAIL peer-udp: ") || !strings.Contains(out, "\nok udp\n") {
		t.Errorf("without a peer: status %d\n%s", status, out)
	}
}

// The fuzzer runs natively with calls that harm nobody only: no paths, signals, sockets, or mappings; it must refuse the rest.
func TestNativeFuzz(t *testing.T) {
	for _, libc := range Libcs {
		t.Run(string(libc), func(t *testing.T) {
			t.Parallel()
			path := mustBuild(t, func() (string, error) { return CBinary("fuzz", libc) })
			out, status := run(t, path, []string{"-seed", "1", "-time", "2"}, nil, nil)
			if status != 0 || !strings.Contains(out, "\nok fuzz: seed 1, ") {
				t.Errorf("status %d\n%s", status, out)
			}
			out, status = run(t, path, []string{"-plant", "-seed", "1", "-time", "10"}, nil, nil)
			if status != 1 || !strings.Contains(out, "\nFAIL fuzz: a kernel address in memory") {
				t.Errorf("with a planted address: status %d\n%s", status, out)
			}
			if out, status = run(t, path, []string{"-everything", "-time", "0"}, nil, nil); status != 2 {
				t.Errorf("-everything on the host: status %d\n%s", status, out)
			}
		})
	}
}

func TestNativeEndings(t *testing.T) {
	path := mustBuild(t, func() (string, error) { return CBinary("fault", Glibc) })
	for _, e := range Endings {
		t.Run(strings.Join(e.Args, " "), func(t *testing.T) {
			cmd := exec.Command(path, e.Args...)
			cmd.Dir = t.TempDir() // for a core file, if the system writes any
			err := cmd.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			status := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if e.Signal != 0 && (!status.Signaled() || status.Signal() != e.Signal) {
				t.Errorf("wait status %#x, want signal %v", status, e.Signal)
			}
			if e.Signal == 0 && (!status.Exited() || status.ExitStatus() != e.Status) {
				t.Errorf("wait status %#x, want exit status %d", status, e.Status)
			}
		})
	}
}
