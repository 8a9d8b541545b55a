// Package linux is the Linux ABI: the system-call table, a file per family of calls.
//
// Each call is a function on a Call and returns the value for RAX, or an error that is a unix.Errno.
//
// A call that waits does it in Thread.Sleep and returns its error unix.EINTR unchanged: whether the program sees
// it or the call starts again is decided when the signal is delivered (see restartOf).
package linux

import (
	"golang.org/x/sys/unix"
	"wick/kernel/net"
	"wick/kernel/task"
)

// handler does one system call.
type handler func(c *Call) (uint64, error)

// tableSize bounds the numbers that have slots; higher ones are ENOSYS.
const tableSize = 512

// table has the system calls by their numbers, a paragraph for each file. It holds nothing but functions, so the compiler makes data of
// it, and filling it costs nothing at the start. The compiler also refuses a number that is there twice.
var table = [tableSize]handler{
	// capabilities.go
	unix.SYS_CAPGET: (*Call).capget,
	unix.SYS_CAPSET: (*Call).capset,

	// credentials.go
	unix.SYS_GETUID:    func(c *Call) (uint64, error) { return uint64(c.who().UID), nil },
	unix.SYS_GETEUID:   func(c *Call) (uint64, error) { return uint64(c.who().EUID), nil },
	unix.SYS_GETGID:    func(c *Call) (uint64, error) { return uint64(c.who().GID), nil },
	unix.SYS_GETEGID:   func(c *Call) (uint64, error) { return uint64(c.who().EGID), nil },
	unix.SYS_GETRESUID: (*Call).getresuid,
	unix.SYS_GETRESGID: (*Call).getresgid,
	unix.SYS_SETUID:    (*Call).setuid,
	unix.SYS_SETREUID:  (*Call).setreuid,
	unix.SYS_SETRESUID: (*Call).setresuid,
	unix.SYS_SETFSUID:  (*Call).setfsuid,
	unix.SYS_SETGID:    (*Call).setgid,
	unix.SYS_SETREGID:  (*Call).setregid,
	unix.SYS_SETRESGID: (*Call).setresgid,
	unix.SYS_SETFSGID:  (*Call).setfsgid,
	unix.SYS_GETGROUPS: (*Call).getgroups,
	unix.SYS_SETGROUPS: (*Call).setgroups,

	// exec.go
	unix.SYS_EXECVE: func(c *Call) (uint64, error) { return c.execve(atCwd, c.Args[0], c.Args[1], c.Args[2], 0) },
	unix.SYS_EXECVEAT: func(c *Call) (uint64, error) {
		return c.execve(c.Args[0], c.Args[1], c.Args[2], c.Args[3], uint32(c.Args[4]))
	},

	// fd.go
	unix.SYS_CLOSE:        (*Call).close,
	unix.SYS_CLOSE_RANGE:  (*Call).closeRange,
	unix.SYS_DUP:          (*Call).dup,
	unix.SYS_DUP2:         (*Call).dup2,
	unix.SYS_DUP3:         (*Call).dup3,
	unix.SYS_FCNTL:        (*Call).fcntl,
	unix.SYS_FLOCK:        (*Call).flock,
	unix.SYS_PIPE:         func(c *Call) (uint64, error) { return c.pipe(0) },
	unix.SYS_PIPE2:        func(c *Call) (uint64, error) { return c.pipe(uint32(c.Args[1])) },
	unix.SYS_EVENTFD:      func(c *Call) (uint64, error) { return c.eventfd(0) },
	unix.SYS_EVENTFD2:     func(c *Call) (uint64, error) { return c.eventfd(uint32(c.Args[1])) },
	unix.SYS_MEMFD_CREATE: (*Call).memfdCreate,

	// fd_inotify.go
	unix.SYS_INOTIFY_INIT:      func(c *Call) (uint64, error) { return c.inotifyInit(0) },
	unix.SYS_INOTIFY_INIT1:     func(c *Call) (uint64, error) { return c.inotifyInit(uint32(c.Args[0])) },
	unix.SYS_INOTIFY_ADD_WATCH: (*Call).inotifyAddWatch,
	unix.SYS_INOTIFY_RM_WATCH:  (*Call).inotifyRmWatch,

	// fd_signal.go
	unix.SYS_SIGNALFD:  func(c *Call) (uint64, error) { return c.signalfd(0) },
	unix.SYS_SIGNALFD4: func(c *Call) (uint64, error) { return c.signalfd(uint32(c.Args[3])) },

	// fd_timer.go
	unix.SYS_TIMERFD_CREATE:  (*Call).timerfdCreate,
	unix.SYS_TIMERFD_SETTIME: (*Call).timerfdSettime,
	unix.SYS_TIMERFD_GETTIME: (*Call).timerfdGettime,

	// file.go
	unix.SYS_READ:     (*Call).read,
	unix.SYS_WRITE:    (*Call).write,
	unix.SYS_READV:    (*Call).readv,
	unix.SYS_WRITEV:   (*Call).writev,
	unix.SYS_PREAD64:  (*Call).pread,
	unix.SYS_PWRITE64: (*Call).pwrite,
	unix.SYS_PREADV:   (*Call).preadv,
	unix.SYS_PWRITEV:  (*Call).pwritev,
	unix.SYS_PREADV2:  (*Call).preadv2,
	unix.SYS_PWRITEV2: (*Call).pwritev2,
	unix.SYS_LSEEK:    (*Call).lseek,

	// file_copy.go
	unix.SYS_SENDFILE:        (*Call).sendfile,
	unix.SYS_COPY_FILE_RANGE: (*Call).copyFileRange,
	unix.SYS_SPLICE:          (*Call).splice,

	// fork.go
	unix.SYS_CLONE:  (*Call).clone,
	unix.SYS_CLONE3: (*Call).clone3,
	unix.SYS_FORK:   func(c *Call) (uint64, error) { return c.newProcess(&task.CloneArgs{Flags: uint64(unix.SIGCHLD)}, 0) },
	unix.SYS_VFORK: func(c *Call) (uint64, error) {
		return c.newProcess(&task.CloneArgs{Flags: unix.CLONE_VM | unix.CLONE_VFORK | uint64(unix.SIGCHLD)}, 0)
	},

	// futex.go
	unix.SYS_FUTEX:           (*Call).futex,
	unix.SYS_SET_ROBUST_LIST: (*Call).setRobustList,
	unix.SYS_GET_ROBUST_LIST: (*Call).getRobustList,

	// ioctl.go
	unix.SYS_IOCTL: (*Call).ioctl,

	// membarrier.go
	unix.SYS_MEMBARRIER: (*Call).membarrier,

	// memory.go
	unix.SYS_MMAP:       mmap,
	unix.SYS_MUNMAP:     munmap,
	unix.SYS_MPROTECT:   mprotect,
	unix.SYS_MADVISE:    madvise,
	unix.SYS_MREMAP:     mremap,
	unix.SYS_BRK:        brk,
	unix.SYS_MSYNC:      msync,
	unix.SYS_MINCORE:    mincore,
	unix.SYS_MLOCK:      mlock,
	unix.SYS_MLOCK2:     mlock2,
	unix.SYS_MUNLOCK:    munlock,
	unix.SYS_MLOCKALL:   mlockall,
	unix.SYS_MUNLOCKALL: munlockall,

	// misc.go
	unix.SYS_UNAME:     (*Call).uname,
	unix.SYS_SYSINFO:   (*Call).sysinfo,
	unix.SYS_GETRANDOM: (*Call).getrandom,

	// path.go
	unix.SYS_OPEN: func(c *Call) (uint64, error) { return c.open(atCwd, c.Args[0], uint32(c.Args[1]), uint32(c.Args[2])) },
	unix.SYS_OPENAT: func(c *Call) (uint64, error) {
		return c.open(c.Args[0], c.Args[1], uint32(c.Args[2]), uint32(c.Args[3]))
	},
	unix.SYS_CREAT: func(c *Call) (uint64, error) {
		return c.open(atCwd, c.Args[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, uint32(c.Args[1]))
	},
	unix.SYS_OPENAT2:    (*Call).openat2,
	unix.SYS_GETCWD:     (*Call).getcwd,
	unix.SYS_CHDIR:      (*Call).chdir,
	unix.SYS_FCHDIR:     (*Call).fchdir,
	unix.SYS_GETDENTS64: (*Call).getdents64,

	// path_attr.go
	unix.SYS_CHMOD:    func(c *Call) (uint64, error) { return c.chmodAt(atCwd, c.Args[0], c.Args[1], 0) },
	unix.SYS_FCHMOD:   (*Call).fchmod,
	unix.SYS_FCHMODAT: func(c *Call) (uint64, error) { return c.chmodAt(c.Args[0], c.Args[1], c.Args[2], 0) },
	sysFchmodat2:      (*Call).fchmodat2,
	unix.SYS_CHOWN:    func(c *Call) (uint64, error) { return c.chownAt(atCwd, c.Args[0], c.Args[1], c.Args[2], 0) },
	unix.SYS_LCHOWN: func(c *Call) (uint64, error) {
		return c.chownAt(atCwd, c.Args[0], c.Args[1], c.Args[2], unix.AT_SYMLINK_NOFOLLOW)
	},
	unix.SYS_FCHOWN:    (*Call).fchown,
	unix.SYS_FCHOWNAT:  (*Call).fchownat,
	unix.SYS_UTIME:     (*Call).utime,
	unix.SYS_UTIMES:    func(c *Call) (uint64, error) { return c.utimesAt(atCwd, c.Args[0], c.Args[1]) },
	unix.SYS_FUTIMESAT: func(c *Call) (uint64, error) { return c.utimesAt(c.Args[0], c.Args[1], c.Args[2]) },
	unix.SYS_UTIMENSAT: (*Call).utimensat,
	unix.SYS_TRUNCATE:  (*Call).truncate,
	unix.SYS_FTRUNCATE: (*Call).ftruncate,
	unix.SYS_FALLOCATE: (*Call).fallocate,
	unix.SYS_FADVISE64: (*Call).fadvise,
	unix.SYS_READAHEAD: (*Call).readahead,
	unix.SYS_FSYNC:     (*Call).fsync,
	unix.SYS_FDATASYNC: (*Call).fsync,
	unix.SYS_SYNCFS:    (*Call).syncfs,
	unix.SYS_SYNC:      zero,

	// path_names.go
	unix.SYS_MKDIR:    func(c *Call) (uint64, error) { return c.mkdirAt(atCwd, c.Args[0], c.Args[1]) },
	unix.SYS_MKDIRAT:  func(c *Call) (uint64, error) { return c.mkdirAt(c.Args[0], c.Args[1], c.Args[2]) },
	unix.SYS_MKNOD:    func(c *Call) (uint64, error) { return c.mknodAt(atCwd, c.Args[0], c.Args[1]) },
	unix.SYS_MKNODAT:  func(c *Call) (uint64, error) { return c.mknodAt(c.Args[0], c.Args[1], c.Args[2]) },
	unix.SYS_RMDIR:    func(c *Call) (uint64, error) { return c.unlinkAt(atCwd, c.Args[0], unix.AT_REMOVEDIR) },
	unix.SYS_UNLINK:   func(c *Call) (uint64, error) { return c.unlinkAt(atCwd, c.Args[0], 0) },
	unix.SYS_UNLINKAT: func(c *Call) (uint64, error) { return c.unlinkAt(c.Args[0], c.Args[1], uint32(c.Args[2])) },
	unix.SYS_RENAME:   func(c *Call) (uint64, error) { return c.renameAt(atCwd, c.Args[0], atCwd, c.Args[1], 0) },
	unix.SYS_RENAMEAT: func(c *Call) (uint64, error) { return c.renameAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], 0) },
	unix.SYS_RENAMEAT2: func(c *Call) (uint64, error) {
		return c.renameAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], uint32(c.Args[4]))
	},
	unix.SYS_LINK: func(c *Call) (uint64, error) { return c.linkAt(atCwd, c.Args[0], atCwd, c.Args[1], 0) },
	unix.SYS_LINKAT: func(c *Call) (uint64, error) {
		return c.linkAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3], uint32(c.Args[4]))
	},
	unix.SYS_SYMLINK:   func(c *Call) (uint64, error) { return c.symlinkAt(c.Args[0], atCwd, c.Args[1]) },
	unix.SYS_SYMLINKAT: func(c *Call) (uint64, error) { return c.symlinkAt(c.Args[0], c.Args[1], c.Args[2]) },

	// path_stat.go
	unix.SYS_STAT:       func(c *Call) (uint64, error) { return c.statAt(atCwd, c.Args[0], c.Args[1], 0) },
	unix.SYS_LSTAT:      func(c *Call) (uint64, error) { return c.statAt(atCwd, c.Args[0], c.Args[1], unix.AT_SYMLINK_NOFOLLOW) },
	unix.SYS_FSTAT:      (*Call).fstat,
	unix.SYS_NEWFSTATAT: (*Call).newfstatat,
	unix.SYS_STATX:      (*Call).statx,
	unix.SYS_STATFS:     (*Call).statfs,
	unix.SYS_FSTATFS:    (*Call).fstatfs,
	unix.SYS_ACCESS:     func(c *Call) (uint64, error) { return c.accessAt(atCwd, c.Args[0], c.Args[1], 0) },
	unix.SYS_FACCESSAT:  func(c *Call) (uint64, error) { return c.accessAt(c.Args[0], c.Args[1], c.Args[2], 0) },
	unix.SYS_FACCESSAT2: (*Call).faccessat2,
	unix.SYS_READLINK:   func(c *Call) (uint64, error) { return c.readlinkAt(atCwd, c.Args[0], c.Args[1], c.Args[2]) },
	unix.SYS_READLINKAT: func(c *Call) (uint64, error) { return c.readlinkAt(c.Args[0], c.Args[1], c.Args[2], c.Args[3]) },

	// path_xattr.go
	unix.SYS_SETXATTR:     func(c *Call) (uint64, error) { return c.setxattr(c.byPath(0)) },
	unix.SYS_LSETXATTR:    func(c *Call) (uint64, error) { return c.setxattr(c.byPath(unix.AT_SYMLINK_NOFOLLOW)) },
	unix.SYS_FSETXATTR:    func(c *Call) (uint64, error) { return c.setxattr(c.byFD) },
	unix.SYS_GETXATTR:     func(c *Call) (uint64, error) { return c.getxattr(c.byPath(0)) },
	unix.SYS_LGETXATTR:    func(c *Call) (uint64, error) { return c.getxattr(c.byPath(unix.AT_SYMLINK_NOFOLLOW)) },
	unix.SYS_FGETXATTR:    func(c *Call) (uint64, error) { return c.getxattr(c.byFD) },
	unix.SYS_LISTXATTR:    func(c *Call) (uint64, error) { return c.listxattr(c.byPath(0)) },
	unix.SYS_LLISTXATTR:   func(c *Call) (uint64, error) { return c.listxattr(c.byPath(unix.AT_SYMLINK_NOFOLLOW)) },
	unix.SYS_FLISTXATTR:   func(c *Call) (uint64, error) { return c.listxattr(c.byFD) },
	unix.SYS_REMOVEXATTR:  func(c *Call) (uint64, error) { return c.getxattr(c.byPath(0)) },
	unix.SYS_LREMOVEXATTR: func(c *Call) (uint64, error) { return c.getxattr(c.byPath(unix.AT_SYMLINK_NOFOLLOW)) },
	unix.SYS_FREMOVEXATTR: func(c *Call) (uint64, error) { return c.getxattr(c.byFD) },

	// poll.go
	unix.SYS_POLL:     (*Call).poll,
	unix.SYS_PPOLL:    (*Call).ppoll,
	unix.SYS_SELECT:   (*Call).selectFDs,
	unix.SYS_PSELECT6: (*Call).pselect,

	// poll_epoll.go
	unix.SYS_EPOLL_CREATE:  (*Call).epollCreate,
	unix.SYS_EPOLL_CREATE1: (*Call).epollCreate1,
	unix.SYS_EPOLL_CTL:     (*Call).epollCtl,
	unix.SYS_EPOLL_WAIT:    (*Call).epollWait,
	unix.SYS_EPOLL_PWAIT:   (*Call).epollPwait,
	unix.SYS_EPOLL_PWAIT2:  (*Call).epollPwait2,

	// process.go
	unix.SYS_GETPID:     func(c *Call) (uint64, error) { return uint64(c.PID), nil },
	unix.SYS_GETPPID:    func(c *Call) (uint64, error) { return uint64(c.ParentID()), nil },
	unix.SYS_GETPGRP:    func(c *Call) (uint64, error) { return c.groupOf(0, false) },
	unix.SYS_GETPGID:    func(c *Call) (uint64, error) { return c.groupOf(c.Args[0], false) },
	unix.SYS_GETSID:     func(c *Call) (uint64, error) { return c.groupOf(c.Args[0], true) },
	unix.SYS_SETSID:     (*Call).setsid,
	unix.SYS_SETPGID:    (*Call).setpgid,
	unix.SYS_UMASK:      (*Call).setUmask,
	unix.SYS_EXIT_GROUP: (*Call).exitGroup,

	// process_limits.go
	unix.SYS_GETRLIMIT: func(c *Call) (uint64, error) { return c.rlimit(c.Args[0], 0, c.Args[1]) },
	unix.SYS_SETRLIMIT: func(c *Call) (uint64, error) { return c.rlimit(c.Args[0], c.Args[1], 0) },
	unix.SYS_PRLIMIT64: (*Call).prlimit64,
	unix.SYS_GETRUSAGE: (*Call).getrusage,

	// sched.go
	unix.SYS_SCHED_YIELD:            (*Call).schedYield,
	unix.SYS_SCHED_GETAFFINITY:      (*Call).schedGetaffinity,
	unix.SYS_SCHED_SETAFFINITY:      (*Call).schedSetaffinity,
	unix.SYS_SCHED_GETPARAM:         (*Call).schedGetparam,
	unix.SYS_SCHED_SETPARAM:         (*Call).schedSetparam,
	unix.SYS_SCHED_GETSCHEDULER:     (*Call).schedGetscheduler,
	unix.SYS_SCHED_SETSCHEDULER:     (*Call).schedSetscheduler,
	unix.SYS_SCHED_RR_GET_INTERVAL:  (*Call).schedRRGetInterval,
	unix.SYS_SCHED_GET_PRIORITY_MAX: func(c *Call) (uint64, error) { return c.priorityRange(99) },
	unix.SYS_SCHED_GET_PRIORITY_MIN: func(c *Call) (uint64, error) { return c.priorityRange(1) },
	unix.SYS_GETPRIORITY:            (*Call).getpriority,
	unix.SYS_SETPRIORITY:            (*Call).setpriority,
	unix.SYS_GETCPU:                 (*Call).getcpu,

	// signal.go
	unix.SYS_RT_SIGACTION:      (*Call).rtSigaction,
	unix.SYS_RT_SIGPROCMASK:    (*Call).rtSigprocmask,
	unix.SYS_RT_SIGRETURN:      (*Call).rtSigreturn,
	unix.SYS_RT_SIGPENDING:     (*Call).rtSigpending,
	unix.SYS_RT_SIGTIMEDWAIT:   (*Call).rtSigtimedwait,
	unix.SYS_RT_SIGSUSPEND:     (*Call).rtSigsuspend,
	unix.SYS_RT_SIGQUEUEINFO:   (*Call).rtSigqueueinfo,
	unix.SYS_RT_TGSIGQUEUEINFO: (*Call).rtTgsigqueueinfo,
	unix.SYS_SIGALTSTACK:       (*Call).sigaltstack,
	unix.SYS_KILL:              (*Call).kill,
	unix.SYS_TKILL:             (*Call).tkill,
	unix.SYS_TGKILL:            (*Call).tgkill,
	unix.SYS_PAUSE:             (*Call).pause,

	// socket.go
	unix.SYS_SOCKET:      (*Call).newSocket,
	unix.SYS_SOCKETPAIR:  (*Call).socketpair,
	unix.SYS_BIND:        (*Call).bind,
	unix.SYS_LISTEN:      (*Call).listen,
	unix.SYS_ACCEPT:      func(c *Call) (uint64, error) { return c.accept(0) },
	unix.SYS_ACCEPT4:     func(c *Call) (uint64, error) { return c.accept(int(int32(c.Args[3]))) },
	unix.SYS_CONNECT:     (*Call).connect,
	unix.SYS_GETSOCKNAME: func(c *Call) (uint64, error) { return c.socketName(net.Socket.LocalAddr) },
	unix.SYS_GETPEERNAME: func(c *Call) (uint64, error) { return c.socketName(net.Socket.PeerAddr) },
	unix.SYS_SHUTDOWN:    (*Call).shutdown,

	// socket_data.go
	unix.SYS_SENDTO:   (*Call).sendto,
	unix.SYS_RECVFROM: (*Call).recvfrom,

	// socket_msg.go
	unix.SYS_SENDMSG:  (*Call).sendmsg,
	unix.SYS_RECVMSG:  (*Call).recvmsg,
	unix.SYS_SENDMMSG: (*Call).sendmmsg,
	unix.SYS_RECVMMSG: (*Call).recvmmsg,

	// socket_option.go
	unix.SYS_SETSOCKOPT: (*Call).setsockopt,
	unix.SYS_GETSOCKOPT: (*Call).getsockopt,

	// thread.go
	unix.SYS_EXIT:            (*Call).exit,
	unix.SYS_GETTID:          (*Call).gettid,
	unix.SYS_SET_TID_ADDRESS: (*Call).setTIDAddress,
	unix.SYS_ARCH_PRCTL:      (*Call).archPrctl,
	unix.SYS_PRCTL:           (*Call).prctl,

	// time.go
	unix.SYS_CLOCK_GETTIME:   (*Call).clockGettime,
	unix.SYS_CLOCK_GETRES:    (*Call).clockGetres,
	unix.SYS_CLOCK_NANOSLEEP: (*Call).clockNanosleep,
	unix.SYS_NANOSLEEP:       (*Call).nanosleep,
	unix.SYS_GETTIMEOFDAY:    (*Call).gettimeofday,
	unix.SYS_TIME:            (*Call).time,
	unix.SYS_TIMES:           (*Call).times,
	unix.SYS_ALARM:           (*Call).alarm,
	unix.SYS_SETITIMER:       (*Call).setitimer,
	unix.SYS_GETITIMER:       (*Call).getitimer,

	// time_adjust.go
	unix.SYS_ADJTIMEX:      func(c *Call) (uint64, error) { return c.adjtimex(c.Args[0]) },
	unix.SYS_CLOCK_ADJTIME: (*Call).clockAdjtime,

	// timer.go
	unix.SYS_TIMER_CREATE:     (*Call).timerCreate,
	unix.SYS_TIMER_SETTIME:    (*Call).timerSettime,
	unix.SYS_TIMER_GETTIME:    (*Call).timerGettime,
	unix.SYS_TIMER_GETOVERRUN: (*Call).timerGetoverrun,
	unix.SYS_TIMER_DELETE:     (*Call).timerDelete,

	// wait.go
	unix.SYS_WAIT4:             (*Call).wait4,
	unix.SYS_WAITID:            (*Call).waitid,
	unix.SYS_PIDFD_OPEN:        (*Call).pidfdOpen,
	unix.SYS_PIDFD_SEND_SIGNAL: (*Call).pidfdSendSignal,
}
