package check

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Undisturbed calls f on a thread that the runtime doesn't preempt by its signal. On Linux any signal ends a poll, a call with a
// time-out [signal(7)], and one that has something but not yet all [recv(2), copy_file_range(2)].
func (t *T) Undisturbed(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.Sigset_t
	t.Must(unix.PthreadSigmask(unix.SIG_BLOCK, &unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGURG - 1)}}, &before))
	defer func() { t.Must(unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)) }()
	f()
}

// Poll is an undisturbed poll(2).
func (t *T) Poll(fds []unix.PollFd, ms int) (n int, err error) {
	t.Undisturbed(func() { n, err = unix.Poll(fds, ms) })
	return n, err
}
