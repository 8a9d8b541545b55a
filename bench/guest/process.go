package guest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wick/vmm"
)

// Line is a line of a guest's console.
type Line struct {
	Text string
	At   time.Duration // since exec of QEMU
	CPU  time.Duration // what QEMU had used by then
}

// Process is a QEMU that has been started.
type Process struct {
	Started time.Time // just before exec

	pid   int
	ended chan struct{} // closed when QEMU has ended

	mu    sync.Mutex
	lines []Line        // guarded by mu
	more  chan struct{} // guarded by mu; closed and replaced when lines has grown
}

// mostLines bounds what is kept of a console.
const mostLines = 10_000

// Start starts QEMU with the given arguments, and files as its descriptors from 3 on. Its standard input is empty; its standard
// output is the guest's console. It ends at the latest when this process does.
func Start(qemu string, args []string, files []*os.File) (*Process, error) {
	console, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(qemu, args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = theirs, theirs, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{ended: make(chan struct{}), more: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The parent-death signal is sent when the thread that started QEMU ends [prctl(2), PR_SET_PDEATHSIG]: this
		// thread does nothing else and ends after QEMU.
		runtime.LockOSThread()
		p.Started = time.Now()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		cmd.Wait() // how it ended doesn't matter: nothing but Stop should end it
		close(p.ended)
	}()
	if err := <-started; err != nil {
		console.Close()
		return nil, err
	}
	go p.read(console)
	return p, nil
}

// read collects the console until QEMU ends.
func (p *Process) read(console *os.File) {
	defer console.Close()
	in := bufio.NewReader(console)
	for {
		text, err := in.ReadString('\n')
		l := Line{Text: strings.TrimRight(text, "\r\n"), At: time.Since(p.Started)}
		l.CPU, _ = p.CPU() // QEMU may have ended; then its last words still count
		if text != "" {
			p.add(l)
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) add(l Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == mostLines {
		return
	}
	p.lines = append(p.lines, l)
	close(p.more)
	p.more = make(chan struct{})
}

// Line waits for a line of the console that begins with prefix, and returns the first.
func (p *Process) Line(ctx context.Context, prefix string) (Line, error) {
	for next := 0; ; {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		for ; next < len(lines); next++ {
			if strings.HasPrefix(lines[next].Text, prefix) {
				return lines[next], nil
			}
		}
		select {
		case <-more:
		case <-p.ended:
			return Line{}, fmt.Errorf("QEMU has ended without a line %q; the console's end:\n%s", prefix, p.Tail())
		case <-ctx.Done():
			return Line{}, fmt.Errorf("no line %q in time; the console's end:\n%s", prefix, p.Tail())
		}
	}
}

// Tail returns the last lines of the console.
func (p *Process) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s strings.Builder
	for _, l := range p.lines[max(0, len(p.lines)-12):] {
		s.WriteString("  | " + l.Text + "\n")
	}
	return s.String()
}

// Ended returns a channel that is closed when QEMU has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop ends QEMU.
func (p *Process) Stop() {
	select {
	case <-p.ended:
	default:
		unix.Kill(p.pid, unix.SIGKILL)
		<-p.ended
	}
}

// CPU returns the CPU time that QEMU has used, user and system, in all its threads. The clock of a process tells it in
// nanoseconds [clock_getcpuclockid(3)]; /proc/PID/stat counts ticks of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	const clockSched = 2 // CPUCLOCK_SCHED, include/linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.pid<<3|clockSched), &t); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(t.Nano()), nil
}

// DeepenBacklogs is vmm.DeepenBacklogs: without that few of many connections at a time would be measured.
func (p *Process) DeepenBacklogs() error { return vmm.DeepenBacklogs(p.pid) }

// Resident returns the resident size of QEMU in bytes: the guest's memory as far as it has been touched, and QEMU itself.
func (p *Process) Resident() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(in.Text(), "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10, nil
		}
	}
	return 0, errors.Join(io.ErrUnexpectedEOF, errors.New("no VmRSS"))
}
