package session

import (
	"os"
	"os/signal"
	"syscall"

	"wick/hostlink"
)

// Notify makes the signals that a session handles arrive on a channel. A signal that whoever
// started wick has turned off stays off, as nohup(1) and a shell's background jobs expect.
func Notify() <-chan os.Signal {
	c := make(chan os.Signal, 16)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGTSTP} {
		if !signal.Ignored(sig) {
			signal.Notify(c, sig)
		}
	}
	signal.Notify(c, syscall.SIGWINCH, syscall.SIGCONT)
	// A closed standard output shall give EPIPE, so that the terminal is set back before wick ends.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// Reading the terminal in the background shall give EIO: a server shall go on there, not stop.
	signal.Ignore(syscall.SIGTTIN)
	return c
}

// handleSignals handles what arrives until the session is over.
func (s *Session) handleSignals() {
	for {
		select {
		case sig := <-s.Signals:
			s.handleSignal(sig.(syscall.Signal))
		case <-s.done:
			return
		}
	}
}

func (s *Session) handleSignal(sig syscall.Signal) {
	switch sig {
	case syscall.SIGINT:
		// The second one is for wick: the program had its chance.
		if s.interrupted || !s.deliver(sig) {
			s.stop(sig)
		}
		s.interrupted = true
	case syscall.SIGQUIT:
		// The second one is for the kernel. It and all later ones leave the program alone.
		switch {
		case s.quit && s.Report != nil:
			go s.Report() // other signals must get through
		case !s.deliver(sig):
			s.stop(sig)
		}
		s.quit = true
	case syscall.SIGTERM, syscall.SIGHUP:
		s.stop(sig)
	case syscall.SIGWINCH:
		s.sendWindow()
	case syscall.SIGTSTP:
		s.suspend()
	case syscall.SIGCONT:
		s.VM.Resume()
		s.continued()
	}
}

// continued does what is due when the terminal is ours again.
func (s *Session) continued() {
	if s.Terminal != nil {
		s.Terminal.Continued()
		s.sendWindow() // it may have changed in the meantime
	}
}

// awaitForeground waits until the terminal is ours again; it returns false if the session ends before.
func (s *Session) awaitForeground() bool {
	if !s.Terminal.AwaitForeground(s.done) {
		return false
	}
	s.continued()
	return true
}

// watchForeground sets modes that wait for the foreground when it has come.
func (s *Session) watchForeground() {
	for {
		select {
		case <-s.Terminal.Deferred():
			if !s.awaitForeground() {
				return
			}
		case <-s.done:
			return
		}
	}
}

// deliver sends a signal to the program, if there is one yet and the guest takes it.
func (s *Session) deliver(sig syscall.Signal) bool {
	return s.ready.Load() && s.out.urgent(hostlink.Signal, hostlink.AppendSignal(nil, uint8(sig)))
}

// stop ends the machine.
func (s *Session) stop(sig syscall.Signal) {
	s.stopped.CompareAndSwap(0, int32(sig))
	s.VM.Kill()
}

// suspend does what Ctrl-Z does to a program, the machine included. SIGCONT undoes it.
func (s *Session) suspend() {
	if s.Terminal != nil {
		s.Terminal.Suspend()
	}
	s.VM.Pause()
	syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
}
