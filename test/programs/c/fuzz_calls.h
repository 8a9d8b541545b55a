/*
 * The calls that the fuzzer makes with arguments of the right kinds; each letter is a generator of fuzz_args.h. A call that
 * is neither here nor in never is made with arguments of any kind.
 */
#ifndef FUZZ_CALLS_H
#define FUZZ_CALLS_H

#include <sys/syscall.h>

/* Numbers that C libraries don't have yet. */
#define NR_close_range 436
#define NR_openat2 437
#define NR_faccessat2 439
#define NR_epoll_pwait2 441

/*
 * f descriptor            a socket address        s signal            m address of a mapping
 * d directory             v array of iovec        S mask of signals   M another one
 * i memory to read        h msghdr, H mmsghdr     t timespec          L its length
 * o memory to write       p path                  k small number      P protection
 * n size                  x offset                w flags             B break
 * g anything              D descriptor to replace T thread of its own q fcntl, Q ioctl command
 * r rlimit with its resource (two arguments)      F pselect6's mask   l level and option (two arguments)
 * A sigaction             K sigaltstack           I itimerval         c domain and type (two arguments)
 * e stack of a clone      R robust list           y arch_prctl's code 0 zero, 8 eight
 * E sigevent              N timer
 *
 * a, c and R stand for two arguments, too.
 */
struct known {
	int number, harmless; /* harmless ones are made on any Linux */
	const char *args;
};

static const struct known calls[] = {
	{SYS_read, 1, "fon"}, {SYS_write, 1, "fin"}, {SYS_readv, 1, "fvk"}, {SYS_writev, 1, "fvk"}, {SYS_pread64, 1, "fonx"},
	{SYS_pwrite64, 1, "finx"}, {SYS_preadv, 1, "fvkx"}, {SYS_pwritev, 1, "fvkx"}, {SYS_preadv2, 1, "fvkxxw"},
	{SYS_pwritev2, 1, "fvkxxw"}, {SYS_lseek, 1, "fxk"}, {SYS_close, 1, "f"}, {NR_close_range, 0, "DDk"}, {SYS_dup, 1, "f"},
	{SYS_dup2, 0, "fD"}, {SYS_dup3, 0, "fDw"}, {SYS_fcntl, 0, "fqg"}, {SYS_flock, 0, "fk"}, {SYS_pipe, 1, "o"},
	{SYS_pipe2, 1, "ow"}, {SYS_eventfd, 1, "g"}, {SYS_eventfd2, 1, "gw"}, {SYS_memfd_create, 0, "pk"},
	{SYS_timerfd_create, 1, "kw"}, {SYS_timerfd_settime, 1, "fkIo"}, {SYS_timerfd_gettime, 1, "fo"},
	{SYS_sendfile, 1, "ffon"}, {SYS_copy_file_range, 1, "fofonw"}, {SYS_splice, 1, "fofonk"}, {SYS_ioctl, 0, "fQo"},
	{SYS_futex, 1, "okktok"}, {SYS_futex, 1, "okktok"}, {SYS_set_robust_list, 0, "R"}, {SYS_get_robust_list, 1, "koo"},
	{SYS_mmap, 0, "mLPwfx"}, {SYS_mmap, 0, "mLPwfx"}, {SYS_munmap, 0, "mL"}, {SYS_mprotect, 0, "mLP"},
	{SYS_madvise, 0, "mLk"}, {SYS_mremap, 0, "mLLkM"}, {SYS_brk, 0, "B"}, {SYS_msync, 0, "mLk"}, {SYS_mincore, 0, "mLo"},
	{SYS_mlock, 0, "mL"}, {SYS_munlock, 0, "mL"}, {SYS_mlock2, 0, "mLk"}, {SYS_mlockall, 0, "k"}, {SYS_munlockall, 0, ""},
	{SYS_uname, 1, "o"}, {SYS_sysinfo, 1, "o"}, {SYS_getrandom, 0, "onk"}, {SYS_open, 0, "pwk"}, {SYS_open, 0, "pwk"},
	{SYS_openat, 0, "dpwk"}, {NR_openat2, 0, "dpin"}, {SYS_creat, 0, "pk"}, {SYS_getcwd, 1, "on"}, {SYS_chdir, 0, "p"},
	{SYS_fchdir, 0, "d"}, {SYS_getdents64, 1, "don"}, {SYS_chmod, 0, "pg"}, {SYS_fchmod, 0, "fg"}, {SYS_fchmodat, 0, "dpg"},
	{SYS_chown, 0, "pgg"}, {SYS_fchown, 0, "fgg"}, {SYS_fchownat, 0, "dpggw"}, {SYS_utimensat, 0, "dpik"},
	{SYS_utime, 0, "pi"}, {SYS_utimes, 0, "pi"}, {SYS_futimesat, 0, "dpi"}, {SYS_truncate, 0, "px"},
	{SYS_ftruncate, 0, "fx"}, {SYS_fallocate, 0, "fkxx"}, {SYS_fadvise64, 1, "fxxk"}, {SYS_fsync, 1, "f"},
	{SYS_mkdir, 0, "pk"}, {SYS_mkdirat, 0, "dpg"}, {SYS_mknod, 0, "pgg"}, {SYS_mknodat, 0, "dpgg"}, {SYS_rmdir, 0, "p"},
	{SYS_unlink, 0, "p"}, {SYS_unlinkat, 0, "dpw"}, {SYS_rename, 0, "pp"}, {SYS_renameat2, 0, "dpdpk"}, {SYS_link, 0, "pp"},
	{SYS_linkat, 0, "dpdpw"}, {SYS_symlink, 0, "pp"}, {SYS_symlinkat, 0, "pdp"}, {SYS_stat, 1, "po"}, {SYS_lstat, 1, "po"},
	{SYS_fstat, 1, "fo"}, {SYS_newfstatat, 1, "dpow"}, {SYS_statx, 1, "dpwwo"}, {SYS_statfs, 1, "po"}, {SYS_fstatfs, 1, "fo"},
	{SYS_access, 1, "pk"}, {SYS_faccessat, 1, "dpk"}, {NR_faccessat2, 1, "dpkw"}, {SYS_readlink, 1, "pon"},
	{SYS_readlinkat, 1, "dpon"}, {SYS_poll, 1, "okk"}, {SYS_ppoll, 1, "oktS8"}, {SYS_select, 1, "kooot"},
	{SYS_pselect6, 1, "koootF"}, {SYS_epoll_create1, 1, "w"}, {SYS_epoll_ctl, 1, "fkfo"}, {SYS_epoll_ctl, 1, "fkfo"},
	{SYS_epoll_wait, 1, "fokk"}, {SYS_epoll_pwait, 1, "fokkS8"}, {NR_epoll_pwait2, 1, "foktS8"}, {SYS_getgroups, 1, "ko"},
	{SYS_getresuid, 1, "ooo"}, {SYS_capget, 1, "oo"}, {SYS_wait4, 1, "koko"}, {SYS_waitid, 1, "kkoko"},
	{SYS_prlimit64, 0, "0ro"}, {SYS_setrlimit, 0, "r"}, {SYS_getrlimit, 1, "ko"}, {SYS_getrusage, 1, "ko"},
	{SYS_rt_sigaction, 1, "sAo8"}, {SYS_rt_sigprocmask, 1, "kSo8"}, {SYS_rt_sigpending, 1, "o8"},
	{SYS_rt_sigtimedwait, 1, "Sot8"}, {SYS_rt_sigsuspend, 1, "S8"}, {SYS_rt_sigqueueinfo, 0, "Tsi"},
	{SYS_rt_tgsigqueueinfo, 0, "TTsi"}, {SYS_sigaltstack, 1, "Ko"}, {SYS_kill, 0, "Ts"}, {SYS_tkill, 0, "Ts"},
	{SYS_tgkill, 0, "TTs"}, {SYS_pause, 1, ""}, {SYS_socket, 0, "ck"}, {SYS_socket, 0, "ck"}, {SYS_socketpair, 0, "cko"},
	{SYS_bind, 0, "fa"}, {SYS_listen, 0, "fk"}, {SYS_accept, 0, "foo"}, {SYS_accept4, 0, "foow"}, {SYS_connect, 0, "fa"},
	{SYS_connect, 0, "fa"}, {SYS_getsockname, 0, "foo"}, {SYS_getpeername, 0, "foo"}, {SYS_shutdown, 0, "fk"},
	{SYS_sendto, 0, "finwa"}, {SYS_recvfrom, 0, "fonwoo"}, {SYS_sendmsg, 0, "fhw"}, {SYS_recvmsg, 0, "fhw"},
	{SYS_sendmmsg, 0, "fHkw"}, {SYS_recvmmsg, 0, "fHkwt"}, {SYS_setsockopt, 0, "flik"}, {SYS_getsockopt, 0, "floo"},
	{SYS_clone, 0, "weooo"}, {SYS_exit, 1, "g"}, {SYS_rt_sigreturn, 1, ""}, {SYS_rt_sigreturn, 1, ""},
	{SYS_set_tid_address, 0, "o"}, {SYS_arch_prctl, 0, "yo"}, {SYS_prctl, 0, "kgggg"}, {SYS_sched_yield, 1, ""},
	{SYS_sched_getaffinity, 1, "kno"}, {SYS_sched_setaffinity, 0, "0no"}, {SYS_getcpu, 1, "ooo"},
	{SYS_clock_gettime, 1, "ko"}, {SYS_clock_getres, 1, "ko"}, {SYS_clock_nanosleep, 1, "kkto"}, {SYS_nanosleep, 1, "to"},
	{SYS_gettimeofday, 1, "oo"}, {SYS_time, 1, "o"}, {SYS_times, 1, "o"}, {SYS_alarm, 0, "k"}, {SYS_setitimer, 0, "kIo"},
	{SYS_getitimer, 1, "ko"}, {SYS_timer_create, 0, "kEo"}, {SYS_timer_settime, 0, "NkIo"}, {SYS_timer_gettime, 0, "No"},
	{SYS_timer_getoverrun, 0, "N"}, {SYS_timer_delete, 0, "N"}, {SYS_signalfd4, 0, "fS8w"}, {SYS_membarrier, 0, "g0k"},
	{SYS_getpid, 1, ""}, {SYS_gettid, 1, ""},
};

/* Calls that end the process, make another one that would fuzz on, or stop the machine. */
static const int never[] = {
	SYS_fork, SYS_vfork, SYS_execve, SYS_execveat, SYS_exit_group, SYS_reboot, 435 /* clone3 */, SYS_ptrace, SYS_vhangup,
};

/* Calls that set ids. What looks like half an address in one is told again next to anything. */
static const int ids[] = {
	SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
};

#endif
