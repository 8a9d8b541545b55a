package vm

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// process is a program on the host that runs beside a test, until the test ends.
type process struct {
	cmd    *exec.Cmd
	out    *output       // standard output and error
	ended  chan struct{} // closed when it has ended
	cancel func()
}

// spawn starts a program. Files are its descriptors from 3 on.
func spawn(t *testing.T, files []*os.File, name string, args ...string) *process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	p := &process{cmd: exec.CommandContext(ctx, name, args...), out: newOutput(), ended: make(chan struct{}), cancel: cancel}
	p.cmd.ExtraFiles = files
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the signal comes when the thread ends
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait() // mostly it is killed
			p.out.end()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s:\n%s", p.cmd, p.out)
		}
	})
	return p
}

// stop ends the program, if it runs.
func (p *process) stop() {
	p.cancel()
	<-p.ended
}

func (p *process) awaitLine(t *testing.T, want string) {
	t.Helper()
	if _, ok := p.out.awaitLine(func(line string) bool { return line == want }); !ok {
		t.Fatalf("it has ended without %q", want)
	}
}

// awaitReady waits until vsockserver serves its ports in the machine that the program is, after so many starts.
func (p *process) awaitReady(t *testing.T, cid, starts int) {
	t.Helper()
	if _, ok := p.out.awaitLine(func(line string) bool {
		if strings.HasSuffix(line, fmt.Sprint("vsockserver: ready, CID ", cid)) {
			starts--
		}
		return starts == 0
	}); !ok {
		t.Fatal("the machine ended before its program was ready")
	}
}
