package vfs

import (
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
)

// PidFD is a file that stands for a process, see pidfd_open(2): readable when the process has ended. Which process that is, is a
// matter of the layer of system calls.
type PidFD struct {
	Process any // fixed
	PID     int // fixed

	queue *waiter.Queue // told of the end of the process
	over  func() bool   // whether it has ended
}

// NewPidFD returns a file that stands for a process.
func NewPidFD(process any, pid int, queue *waiter.Queue, over func() bool) *PidFD {
	return &PidFD{process, pid, queue, over}
}

// Read implements File: there is nothing to read.
func (p *PidFD) Read(Dst, int64) (int64, error) { return 0, unix.EINVAL }

// Write implements File.
func (p *PidFD) Write(Src, int64) (int64, error) { return 0, unix.EINVAL }

// Readiness implements waiter.Waitable.
func (p *PidFD) Readiness(mask waiter.EventMask) waiter.EventMask {
	if p.over() {
		return (waiter.EventIn | waiter.EventRdNorm) & mask
	}
	return 0
}

// EventRegister implements waiter.Waitable.
func (p *PidFD) EventRegister(entry *waiter.Entry) error {
	p.queue.EventRegister(entry)
	return nil
}

// EventUnregister implements waiter.Waitable.
func (p *PidFD) EventUnregister(entry *waiter.Entry) { p.queue.EventUnregister(entry) }

// Stat implements File.
func (p *PidFD) Stat() (unix.Stat_t, error) { return anonymousStat(0o600, anonymousInodes), nil }

// Path is the name in /proc/self/fd.
func (p *PidFD) Path() string { return "anon_inode:[pidfd]" }

// Close implements File.
func (p *PidFD) Close() error { return nil }

func (p *PidFD) seekless() {}
