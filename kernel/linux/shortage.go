package linux

import "golang.org/x/sys/unix"

// keeping are the calls by which a program makes the kernel keep more for it than before, for a long time and in the kernel's
// own memory. What else does that is bounded by a limit of its own, or asks by itself (sockets).
var keeping = callSet(
	unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_CREAT,
	unix.SYS_PIPE, unix.SYS_PIPE2, unix.SYS_EVENTFD, unix.SYS_EVENTFD2, unix.SYS_MEMFD_CREATE,
	unix.SYS_EPOLL_CREATE, unix.SYS_EPOLL_CREATE1, unix.SYS_TIMERFD_CREATE,
	unix.SYS_SIGNALFD, unix.SYS_SIGNALFD4, unix.SYS_TIMER_CREATE,
	unix.SYS_MKDIR, unix.SYS_MKDIRAT, unix.SYS_MKNOD, unix.SYS_MKNODAT,
	unix.SYS_SYMLINK, unix.SYS_SYMLINKAT, unix.SYS_LINK, unix.SYS_LINKAT,
	unix.SYS_EPOLL_CTL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
	unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_FORK, unix.SYS_VFORK,
	unix.SYS_EXECVE, unix.SYS_EXECVEAT,
	unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MADVISE, unix.SYS_SETGROUPS,
	unix.SYS_FCNTL, // F_SETPIPE_SZ
)

// tryAgain are those that fail with unix.EAGAIN, and mapping those that may make new mappings.
var (
	tryAgain = callSet(unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_FORK, unix.SYS_VFORK,
		unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO)
	mapping = callSet(unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_MADVISE)
)

// manyAreas is how many mappings a program may have when memory is short: each process has so many, and the limit on them
// doesn't count those of others.
const manyAreas = 1024

// numberSet is a set of call numbers.
type numberSet [tableSize/64 + 1]uint64

func (s *numberSet) has(n uint64) bool { return s[n/64]>>(n%64)&1 != 0 }

func callSet(numbers ...uint) (set numberSet) {
	for _, n := range numbers {
		set[n/64] |= 1 << (n % 64)
	}
	return set
}

// refused tells why a call of keeping is not done: because the kernel's own memory is short, which must not run out. Some calls have an
// errno that asks to try again later.
func (c *Call) refused() error {
	n := c.Number
	switch {
	case c.Kernel.Short == nil,
		n == unix.SYS_EPOLL_CTL && uint32(c.Args[1]) != unix.EPOLL_CTL_ADD,
		n == unix.SYS_FCNTL && uint32(c.Args[1]) != unix.F_SETPIPE_SZ,
		mapping.has(n) && c.Space.Stats().Areas < manyAreas,
		!c.Kernel.Short():
		return nil
	case tryAgain.has(n):
		return unix.EAGAIN
	}
	return unix.ENOMEM
}
