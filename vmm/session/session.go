// Package session connects a program in a virtual machine with wick's own descriptors, terminal
// and signals, by the frames of package hostlink.
package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"wick/hostlink"
)

// VM is what a session needs of a virtual machine. A *vmm.VM is one.
type VM interface {
	Kill()                  // ends it at once
	Pause()                 // stops its time
	Resume()                // undoes Pause
	Ended() <-chan struct{} // closed when it has ended
}

// Session is the connection of one run. Fill in the fields, then call Run once.
type Session struct {
	VM   VM
	Link io.ReadWriter // frames; reading ends with the machine

	Stdin    io.Reader
	Stdout   io.Writer
	Stderr   io.Writer
	Capture  io.Writer        // gets the bytes of the guest's capture, if not nil
	Terminal *Terminal        // wick's terminal, nil if none of its descriptors is one
	Signals  <-chan os.Signal // what Notify returned

	// OnReady, if not nil, is called when the guest is ready, before any of its output.
	OnReady func()
	// OnOutput, if not nil, is called after the first output of the program has been written. What it returns is printed.
	OnOutput func(Times) string
	// Report, if not nil, is called when the kernel is to tell what it does: it doesn't get ready within BootTimeout, or
	// the user has sent a second SIGQUIT. It returns when that is done.
	Report func()
	// BootTimeout is how long the guest may take until it is ready; 0: as long as it likes.
	BootTimeout time.Duration

	out         outbox
	credit      credit
	ready       atomic.Bool
	interrupted bool         // the program has got a SIGINT; of the goroutine that handles signals
	quit        bool         // the program has got a SIGQUIT; the same
	stopped     atomic.Int32 // the signal that made wick stop the machine; 0: none
	timedOut    atomic.Bool
	done        chan struct{} // closed when Run returns
}

// Result is how a session ended.
type Result struct {
	Exited bool                // the guest told how the program ended:
	Exit   hostlink.ExitStatus // so

	Stopped  syscall.Signal // the signal that made wick stop the machine; 0: none
	TimedOut bool           // the guest was not ready within BootTimeout
	Ready    bool           // the guest got as far as to listen
	Times    Times          // when what arrived
	Skipped  uint64         // bytes of the channel that were no frames
	Err      error          // what ended the session, if not the machine or a signal
}

// exitGrace is how long the machine may take to send what is left and to power off after the program's end, also on a host that is busy;
// tests change it.
var exitGrace = 10 * time.Second

// errOutputClosed stands for a closed standard output or standard error, as `| head` closes it.
var errOutputClosed = errors.New("output closed")

// Run forwards until the machine has ended.
func (s *Session) Run() Result {
	s.done = make(chan struct{})
	s.out.init()
	s.credit.init()
	defer close(s.done)
	defer s.credit.close()

	go s.out.run(s.Link, s.done)
	go s.forwardStdin()
	go s.handleSignals()
	if s.Terminal != nil {
		go s.watchForeground()
	}
	if s.BootTimeout > 0 {
		go s.watchBoot()
	}

	result := s.readFrames()
	select {
	case <-s.VM.Ended():
	case <-time.After(exitGrace):
		s.VM.Kill()
		<-s.VM.Ended()
	}
	result.Stopped = syscall.Signal(s.stopped.Load())
	result.TimedOut = s.timedOut.Load()
	result.Ready = s.ready.Load()
	return result
}

// bootTicks is in how many parts watchBoot waits.
const bootTicks = 20

// watchBoot ends a machine that does not get ready. It waits in small parts: while wick is
// suspended, and the machine with it, a part at most goes by.
func (s *Session) watchBoot() {
	ticker := time.NewTicker(max(s.BootTimeout/bootTicks, 1))
	defer ticker.Stop()
	for range bootTicks {
		select {
		case <-ticker.C:
		case <-s.done:
			return
		}
		if s.ready.Load() {
			return
		}
	}
	s.timedOut.Store(true)
	if s.Report != nil {
		s.Report()
	}
	s.VM.Kill()
}

// readFrames handles what the guest sends until the channel ends.
func (s *Session) readFrames() (result Result) {
	r := hostlink.NewReader(s.Link)
	defer func() { result.Skipped = r.Skipped() }()
	for {
		frame, err := r.Next()
		var format *hostlink.FormatError
		if errors.As(err, &format) {
			continue // Next passes over what is no frame; Skipped counts it
		}
		if err != nil {
			return result // the machine has ended
		}
		if err := s.handle(frame, &result); err != nil {
			s.VM.Kill()
			if errors.Is(err, errOutputClosed) {
				s.stopped.CompareAndSwap(0, int32(syscall.SIGPIPE))
			} else {
				result.Err = err
			}
			return result
		}
	}
}

// handle does what a frame says, and notes when it came. An error ends the session.
func (s *Session) handle(f hostlink.Frame, result *Result) error {
	first := result.Times.Output.IsZero()
	if err := result.Times.note(f); err != nil {
		return notUnderstood(err)
	}
	if err := s.obey(f, result); err != nil {
		return err
	}
	if first && !result.Times.Output.IsZero() && s.OnOutput != nil {
		return write("error", s.Stderr, s.asLines([]byte(s.OnOutput(result.Times))))
	}
	return nil
}

// obey does what a frame says.
func (s *Session) obey(f hostlink.Frame, result *Result) (err error) {
	switch f.Type {
	case hostlink.Ready:
		if err = hostlink.ParseReady(f.Payload); err == nil {
			s.becomeReady()
		}
	case hostlink.Stdout:
		return write("output", s.Stdout, f.Payload)
	case hostlink.Stderr:
		return write("error", s.Stderr, f.Payload)
	case hostlink.Log, hostlink.Dump:
		return write("error", s.Stderr, s.asLines(f.Payload))
	case hostlink.Capture:
		if s.Capture != nil {
			_, err := s.Capture.Write(f.Payload)
			return err
		}
	case hostlink.Credit:
		var n uint32
		if n, err = hostlink.ParseCredit(f.Payload); err == nil {
			s.credit.add(n)
		}
	case hostlink.TermMode:
		var modes hostlink.Modes
		if modes, err = hostlink.ParseTermMode(f.Payload); err == nil && s.Terminal != nil {
			s.Terminal.Apply(modes)
		}
	case hostlink.Exit:
		if result.Exit, err = hostlink.ParseExit(f.Payload); err == nil {
			result.Exited = true
			// The rest of the log and the capture may follow, but not forever.
			time.AfterFunc(exitGrace, s.VM.Kill)
		}
	}
	if err != nil {
		return notUnderstood(err)
	}
	return nil
}

func notUnderstood(err error) error {
	return fmt.Errorf("the kernel and this wick don't understand each other: %w", err)
}

func (s *Session) becomeReady() {
	if s.ready.Swap(true) {
		return
	}
	if s.OnReady != nil {
		s.OnReady()
	}
	s.sendWindow()
}

// sendWindow tells the guest the size of the terminal, if there is one.
func (s *Session) sendWindow() {
	if s.Terminal == nil || !s.ready.Load() {
		return
	}
	if w, ok := s.Terminal.Size(); ok {
		s.out.urgent(hostlink.WinSize, w.Append(nil))
	}
}

// asLines ends lines with a carriage return too while the program has the terminal in a mode in
// which it does not do so itself.
func (s *Session) asLines(text []byte) []byte {
	if s.Terminal == nil || !s.Terminal.Raw() {
		return text
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}

// write writes all of p. Writing to a pipe that nobody reads any more gives errOutputClosed.
func write(name string, w io.Writer, p []byte) error {
	_, err := w.Write(p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return errOutputClosed
	}
	return fmt.Errorf("standard %s: %w", name, err)
}
