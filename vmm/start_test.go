package vmm

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// envRole makes this test's binary play another part than the test's own.
const envRole = "WICK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "failing qemu":
		fmt.Fprintln(os.Stderr, "qemu: no such thing")
		os.NewFile(bootFD, "boot").WriteString("half a li")
		os.Exit(3)
	case "patient qemu":
		os.NewFile(bootFD, "boot").WriteString("up\r\n")
		os.Stdout.WriteString("hello")
		sleepForever()
	case "limited qemu":
		var l unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_NOFILE, &l)
		fmt.Printf("%20d", l.Cur)
		os.Exit(0)
	case "limited wick":
		playLimitedWick()
	case "wick":
		playWick()
	case "reporting qemu":
		playReporter()
	case "qemu that ends with a report":
		playLastReport()
	}
	os.Exit(99)
}

// playWick starts a machine, prints the process id of its QEMU and waits to be killed.
func playWick() {
	os.Setenv(envRole, "patient qemu")
	null, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	m := testMachine()
	m.Kernel, m.Bundle = null, null
	vm, err := Start(os.Args[0], m, nil)
	if err != nil {
		panic(err)
	}
	if _, err := io.ReadFull(vm.Link, make([]byte, 5)); err != nil {
		panic(err)
	}
	fmt.Println(vm.process.Pid)
	sleepForever()
}

// sleepForever waits to be killed. Where nothing else can happen, the runtime takes select {} for a deadlock and ends the process.
func sleepForever() {
	for {
		time.Sleep(time.Hour)
	}
}

// playLimitedWick starts a machine and prints what its QEMU prints.
func playLimitedWick() {
	os.Setenv(envRole, "limited qemu")
	null, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	m := testMachine()
	m.Kernel, m.Bundle = null, null
	vm, err := Start(os.Args[0], m, nil)
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, vm.Link)
	vm.Wait()
	os.Exit(0)
}

// TestQEMUMayHaveAllDescriptors checks that the soft limit on descriptors, which is low on most systems, doesn't bound the
// connections of a guest. The shell lowers it, as nothing that Go's own start would undo.
func TestQEMUMayHaveAllDescriptors(t *testing.T) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `ulimit -Sn 100 && exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), envRole+"=limited wick")
	out, err := cmd.Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != strconv.FormatUint(l.Max, 10) {
		t.Errorf("QEMU may have %q descriptors, want %d (%v)", got, l.Max, err)
	}
}

// startAs starts this binary in place of QEMU.
func startAs(t *testing.T, role string, bootLog io.Writer) *VM {
	t.Helper()
	t.Setenv(envRole, role)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	m := testMachine()
	m.Kernel, m.Bundle = null, null
	vm, err := Start(os.Args[0], m, bootLog)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		vm.Kill()
		vm.Wait()
	})
	return vm
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestQEMUThatFails(t *testing.T) {
	var bootLog lockedBuffer
	vm := startAs(t, "failing qemu", &bootLog)
	if n, err := vm.Link.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the link does not end: %d, %v", n, err)
	}
	if got := vm.Wait(); got != "exit status 3" {
		t.Errorf("state: got %q", got)
	}
	if got := vm.Messages(); got != "qemu: no such thing\n" {
		t.Errorf("messages: got %q", got)
	}
	if got := vm.BootText(); got != "half a li" || bootLog.String() != got {
		t.Errorf("boot text: got %q, log %q", got, bootLog.String())
	}
	vm.Kill() // once more, and later: no harm
}

func TestKillEndsQEMU(t *testing.T) {
	vm := startAs(t, "patient qemu", nil)
	if _, err := io.ReadFull(vm.Link, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	vm.Pause() // a stopped process can be killed as well
	vm.Kill()
	if got := vm.Wait(); got != "signal: killed" {
		t.Errorf("got %q", got)
	}
	if got := vm.BootText(); got != "up\n" {
		t.Errorf("boot text: got %q", got)
	}
}

func TestNoSuchQEMU(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	m := testMachine()
	m.Kernel, m.Bundle = null, null
	before := openDescriptors(t)
	if _, err := Start("/nonexistent/qemu", m, nil); err == nil || !strings.Contains(err.Error(), "starting QEMU") {
		t.Errorf("got %v", err)
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestQEMUHasAProcessGroupOfItsOwn: the terminal sends Ctrl-C to wick's group.
func TestQEMUHasAProcessGroupOfItsOwn(t *testing.T) {
	vm := startAs(t, "patient qemu", nil)
	group, err := unix.Getpgid(vm.process.Pid)
	if err != nil || group != vm.process.Pid {
		t.Errorf("got group %d, %v, want %d", group, err, vm.process.Pid)
	}
}

// TestNoQEMUIsLeftBehind ends a wick in ways that it can't handle, in the foreground and as a
// background job of its own process group, and waits for its QEMU to go.
func TestNoQEMUIsLeftBehind(t *testing.T) {
	for _, background := range []bool{false, true} {
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGTERM} {
			t.Run(fmt.Sprintf("%v, background %v", sig, background), func(t *testing.T) {
				wick := exec.Command(os.Args[0])
				wick.Env = append(os.Environ(), envRole+"=wick")
				wick.SysProcAttr = &syscall.SysProcAttr{Setpgid: background}
				out, err := wick.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := wick.Start(); err != nil {
					t.Fatal(err)
				}
				defer wick.Wait()
				defer wick.Process.Kill()
				line, err := bufio.NewReader(out).ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				pid, err := strconv.Atoi(strings.TrimSpace(line))
				if err != nil {
					t.Fatal(err)
				}
				qemu, err := unix.PidfdOpen(pid, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer unix.Close(qemu)
				if err := wick.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				awaitEnd(t, qemu)
			})
		}
	}
}

// awaitEnd waits for the end of the process of a pidfd [pidfd_open(2)].
func awaitEnd(t *testing.T, pidfd int) {
	t.Helper()
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(p, int(time.Minute/time.Millisecond))
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			t.Errorf("QEMU is left behind: %v", err)
		}
		return
	}
}
