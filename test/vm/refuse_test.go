package vm

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/vmm"
)

// statusRefused is QEMU's when the kernel, or its boot stub, has told that the machine won't do.
const statusRefused = 0x7d<<1 | 1

// bootImage boots an image of wick build, with more options of QEMU's, and returns QEMU's status and what was written.
func bootImage(t *testing.T, dir string, options ...string) (status int, text string) {
	t.Helper()
	return boot(t, exec.Command(filepath.Join(dir, "boot.sh"), options...)) // it becomes QEMU
}

// boot is bootImage with a command that becomes QEMU.
func boot(t *testing.T, cmd *exec.Cmd) (status int, text string) {
	t.Helper()
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread ends
	defer runtime.UnlockOSThread()
	console := newOutput()
	cmd.Stdout, cmd.Stderr = console, console
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(runLimit, func() {
		t.Error("stopped: it took too long")
		cmd.Process.Kill()
	})
	defer timer.Stop()
	cmd.Wait() // its error is in the status
	return cmd.ProcessState.ExitCode(), console.String()
}

// buildImage has wick build make an image of a program that prints "fits".
func buildImage(t *testing.T, c configuration) (dir string) {
	t.Helper()
	dir, _ = buildImageAndLine(t, c)
	return dir
}

// buildImageAndLine returns also the line for a shell that boots the image, which wick build prints.
func buildImageAndLine(t *testing.T, c configuration) (dir, line string) {
	t.Helper()
	dir = t.TempDir()
	args := append(append([]string{"build", "-o", dir}, c.flags()...), goProgram(t, "stdio"), "args", "fits")
	out, err := exec.Command(wickPath(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("wick build: %v\n%s", err, out)
	}
	return dir, strings.TrimSpace(string(out))
}

// wantRefusal checks that a machine either ran the program or told why it can't.
func wantRefusal(t *testing.T, status int, text, line string) {
	t.Helper()
	ran := status == 1 && strings.Contains(text, `"fits"`)
	if refused := status == statusRefused && strings.Contains(text, line); !ran && !refused {
		t.Errorf("status %d, and neither the program's output nor %q in:\n%s", status, line, text)
	}
}

// TestTooLittleMemoryWithoutWick: QEMU loads an image into a machine that is too small for it, one part over the other or where there
// is no memory. The kernel tells so, and the script already before.
func TestTooLittleMemoryWithoutWick(t *testing.T) {
	for _, c := range fewestAndMost {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			dir, line := buildImageAndLine(t, c)
			for _, size := range []string{"5M", "6M", "8M", "9M", "10M", "11M", "12M", "14M", "16M", "18M", "24M", "32M"} {
				status, text := boot(t, exec.Command("sh", "-c", "exec "+line+" -m "+size))
				t.Logf("%s: status %d", size, status)
				wantRefusal(t, status, text, "wick: not enough memory")
				status, text = bootImage(t, dir, "-m", size)
				wantRefusal(t, status, text, "wick: not enough memory")
			}
		})
	}
}

// TestCPUThatLacksSomething: the line names what it is.
func TestCPUThatLacksSomething(t *testing.T) {
	if acceleration() != vmm.TCG {
		t.Skip("QEMU's models of CPUs are for emulation")
	}
	dir := buildImage(t, plain)
	for model, lacks := range map[string]string{
		"qemu64,-sse2": " SSE2", "qemu64,-syscall": " SYSCALL", "qemu64,-nx": " NX", "qemu64,-fxsr": " FXSR", "qemu64,-pge": " PGE",
		"qemu64,-apic": " APIC", "qemu32": " LM", "pentium": " PAE", "486": " TSC",
	} {
		t.Run(model, func(t *testing.T) {
			status, text := bootImage(t, dir, "-cpu", model)
			if status != statusRefused || !strings.Contains(text, "wick: this CPU won't do") || !strings.Contains(text, lacks) {
				t.Errorf("status %d, and not that it lacks%s:\n%s", status, lacks, text)
			}
		})
	}
	for _, model := range []string{"EPYC", "Nehalem", "SandyBridge", "Skylake-Server", "core2duo", "Opteron_G1", "Opteron_G5", "qemu64,-cx16"} {
		t.Run(model, func(t *testing.T) {
			if status, text := bootImage(t, dir, "-cpu", model); status != 1 || !strings.Contains(text, `"fits"`) {
				t.Errorf("status %d:\n%s", status, text)
			}
		})
	}
}
