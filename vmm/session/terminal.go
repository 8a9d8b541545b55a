package session

import (
	"sync"

	"golang.org/x/sys/unix"

	"wick/hostlink"
)

// Terminal is the terminal that wick runs in. The program sees a terminal too, but the line
// discipline is the host's: the modes that the program sets are set here.
type Terminal struct {
	fd    int  // a descriptor of it
	stdin bool // standard input is one

	mu         sync.Mutex
	saved      unix.Termios    // guarded by mu; what to set back
	modes      *hostlink.Modes // guarded by mu; what the program wants, nil if it never said
	changed    bool            // guarded by mu; the terminal is not as saved
	foreground chan struct{}   // guarded by mu; closed and renewed by Continued
}

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
			t = &Terminal{fd: fd, stdin: fd == 0, saved: *saved, foreground: make(chan struct{})}
		}
	}
	return t, is
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
// to somebody else, they wait for Continued.
func (t *Terminal) Apply(modes hostlink.Modes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.modes = &modes
	t.applyLocked()
}

func (t *Terminal) applyLocked() {
	if t.modes == nil || t.InBackground() {
		return
	}
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

// Restore sets the terminal back as wick found it.
func (t *Terminal) Restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
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

// Continued does what is due after SIGCONT, by which a shell announces the foreground.
func (t *Terminal) Continued() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.applyLocked()
	close(t.foreground)
	t.foreground = make(chan struct{})
}

// AwaitForeground waits until the terminal may be read; it returns false when done is closed first.
func (t *Terminal) AwaitForeground(done <-chan struct{}) bool {
	for {
		t.mu.Lock()
		changed := t.foreground
		t.mu.Unlock()
		if !t.InBackground() {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}
