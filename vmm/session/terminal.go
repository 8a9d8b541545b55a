package session

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wick/hostlink"
)

// Terminal is the terminal that wick runs in. The program sees a terminal too, but the line
// discipline is the host's: the modes that the program sets are set here.
type Terminal struct {
	fd    int  // a descriptor of it
	stdin bool // standard input is one

	deferred chan struct{} // has a token after modes were not set in the background

	mu       sync.Mutex
	saved    unix.Termios    // guarded by mu; what to set back
	stale    bool            // guarded by mu; others have had the terminal since it was saved
	modes    *hostlink.Modes // guarded by mu; what the program wants, nil if it never said
	changed  bool            // guarded by mu; the terminal is not as saved
	restored bool            // guarded by mu; Restore has been called
}

// foregroundPoll is how often wick looks whether it has come to the foreground. A shell need not tell: bash's fg sends no SIGCONT to
// a job that runs.
const foregroundPoll = 50 * time.Millisecond

// OpenTerminal looks which of the descriptors 0, 1 and 2 are terminals. The first of them is
// the terminal; it is nil if there is none.
func OpenTerminal() (*Terminal, [3]bool) {
	var is [3]bool
	var t *Terminal
	for fd := range is {
		saved, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			continue
		}
		is[fd] = true
		if t == nil {
			t = newTerminal(fd, *saved)
		}
	}
	return t, is
}

func newTerminal(fd int, saved unix.Termios) *Terminal {
	return &Terminal{fd: fd, stdin: fd == 0, saved: saved, deferred: make(chan struct{}, 1)}
}

// Size returns the size of the terminal, false if it has none.
func (t *Terminal) Size() (hostlink.Window, bool) {
	w, err := unix.IoctlGetWinsize(t.fd, unix.TIOCGWINSZ)
	if err != nil || w.Row == 0 || w.Col == 0 {
		return hostlink.Window{}, false
	}
	return hostlink.Window{Rows: w.Row, Columns: w.Col}, true
}

// Stdin tells whether standard input is the terminal.
func (t *Terminal) Stdin() bool { return t.stdin }

// HungUp tells whether the other end of the terminal has gone.
func (t *Terminal) HungUp() bool {
	p := []unix.PollFd{{Fd: int32(t.fd)}}
	_, err := unix.Poll(p, 0)
	return err != nil || p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// Apply sets the modes that the program has set. In the background, where the terminal belongs
// to somebody else, they wait for Continued, and Deferred tells.
func (t *Terminal) Apply(modes hostlink.Modes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.modes = &modes
	t.applyLocked()
}

func (t *Terminal) applyLocked() {
	if t.modes == nil || t.restored {
		return
	}
	if t.InBackground() {
		t.stale = true
		select {
		case t.deferred <- struct{}{}:
		default:
		}
		return
	}
	t.saveLocked()
	next := t.saved
	next.Lflag, next.Iflag, next.Oflag = t.modes.Lflag, t.modes.Iflag, t.modes.Oflag
	if next.Lflag&unix.ICANON == 0 {
		// A read returns as soon as there is something; how long the program's own reads wait
		// (VMIN and VTIME) is the guest's business.
		next.Cc[unix.VMIN], next.Cc[unix.VTIME] = 1, 0
	}
	// TCSETSW: what has been written before goes out in the old mode.
	if unix.IoctlSetTermios(t.fd, unix.TCSETSW, &next) == nil {
		t.changed = next != t.saved
	}
}

// saveLocked takes what the terminal is now for what to set back, if it was somebody else's meanwhile: a shell that edits its line
// has other modes than those that it gives to its jobs.
func (t *Terminal) saveLocked() {
	if !t.stale || t.changed {
		return
	}
	if now, err := unix.IoctlGetTermios(t.fd, unix.TCGETS); err == nil {
		t.saved, t.stale = *now, false
	}
}

// Suspend sets the terminal back as wick found it, until Continued.
func (t *Terminal) Suspend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.setBackLocked()
}

// Restore sets the terminal back as wick found it, for good.
func (t *Terminal) Restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.restored = true
	t.setBackLocked()
}

func (t *Terminal) setBackLocked() {
	if t.changed && !t.InBackground() {
		unix.IoctlSetTermios(t.fd, unix.TCSETSW, &t.saved)
	}
	t.changed = false
}

// Raw tells whether the terminal leaves ends of lines as they are.
func (t *Terminal) Raw() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed && t.modes.Oflag&(unix.OPOST|unix.ONLCR) != unix.OPOST|unix.ONLCR
}

// InBackground tells whether the terminal's foreground is another process group. A terminal that
// does not control wick has no foreground.
func (t *Terminal) InBackground() bool {
	group, err := unix.IoctlGetInt(t.fd, unix.TIOCGPGRP)
	return err == nil && group != unix.Getpgrp()
}

// Continued sets the program's modes again, after SIGCONT or when the foreground has come.
func (t *Terminal) Continued() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applyLocked()
}

// Deferred has a token after modes could not be set in the background.
func (t *Terminal) Deferred() <-chan struct{} { return t.deferred }

// AwaitForeground waits until the terminal may be read; it returns false when done is closed first.
func (t *Terminal) AwaitForeground(done <-chan struct{}) bool {
	for t.InBackground() {
		select {
		case <-time.After(foregroundPoll):
		case <-done:
			return false
		}
	}
	return true
}
