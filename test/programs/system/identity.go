package main

import (
	"encoding/binary"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func identity(t *check.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Getpid() < 1 || os.Getppid() < 0 {
		t.Errorf("process %d of parent %d", os.Getpid(), os.Getppid())
	}
	check.Equal(t, "user", os.Getuid(), os.Geteuid())
	check.Equal(t, "group", os.Getgid(), os.Getegid())
	r, e, s := unix.Getresuid()
	check.Equal(t, "getresuid", r*1000000+e*1000+s, os.Getuid()*1001001)
	pgid, err := unix.Getpgid(0)
	t.Must(err)
	check.Equal(t, "process group", pgid, unix.Getpgrp())
	_, err = unix.Getsid(0)
	t.Must(err)

	t.Must(unix.Prctl(unix.PR_SET_NAME, nameForPrctl(), 0, 0, 0))
	comm, err := os.ReadFile("/proc/self/task/" + itoa(unix.Gettid()) + "/comm")
	t.Must(err)
	check.Equal(t, "name of the thread", string(comm), "a-name-of-15-ch\n")
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func uname(t *check.T) {
	var u unix.Utsname
	t.Must(unix.Uname(&u))
	check.Equal(t, "system", unix.ByteSliceToString(u.Sysname[:]), "Linux")
	check.Equal(t, "machine", unix.ByteSliceToString(u.Machine[:]), "x86_64")
	host, err := os.Hostname()
	t.Must(err)
	check.Equal(t, "node", unix.ByteSliceToString(u.Nodename[:]), host)
	if *wantHost != "" {
		check.Equal(t, "host name", host, *wantHost)
	}
	// glibc refuses to run on a kernel older than the one it was built for (3.2).
	major := strings.Split(unix.ByteSliceToString(u.Release[:]), ".")[0]
	if len(major) == 1 && major < "4" {
		t.Errorf("release %s", unix.ByteSliceToString(u.Release[:]))
	}
}

// Entries of the auxiliary vector [getauxval(3)].
const (
	atPHDR   = 3
	atPHENT  = 4
	atPHNUM  = 5
	atPAGESZ = 6
	atENTRY  = 9
	atUID    = 11
	atEUID   = 12
	atGID    = 13
	atEGID   = 14
	atHWCAP  = 16
	atCLKTCK = 17
	atSECURE = 23
	atRANDOM = 25
	atEXECFN = 31
)

func auxv(t *check.T) {
	text, err := os.ReadFile("/proc/self/auxv")
	t.Must(err)
	values := make(map[uint64]uint64)
	for ; len(text) >= 16; text = text[16:] {
		values[binary.NativeEndian.Uint64(text)] = binary.NativeEndian.Uint64(text[8:])
	}
	for _, tag := range []uint64{atPHDR, atPHENT, atPHNUM, atENTRY, atRANDOM, atPAGESZ, atEXECFN,
		atUID, atEUID, atGID, atEGID, atSECURE, atHWCAP, atCLKTCK} {
		if _, ok := values[tag]; !ok {
			t.Errorf("no entry %d", tag)
		}
	}
	check.Equal(t, "AT_PAGESZ", values[atPAGESZ], 4096)
	check.Equal(t, "AT_PHENT", values[atPHENT], 56)
	check.Equal(t, "AT_SECURE", values[atSECURE], 0)
	check.Equal(t, "AT_UID", values[atUID], uint64(os.Getuid()))
	check.Equal(t, "Go's page size", os.Getpagesize(), 4096)
}

func environment(t *check.T) {
	env := os.Environ()
	for _, kv := range env {
		if !strings.Contains(kv, "=") {
			t.Errorf("%q in the environment", kv)
		}
	}
	t.Must(os.Setenv("ADDED", "value"))
	check.Equal(t, "variables", len(os.Environ()), len(env)+1)
}

func limits(t *check.T) {
	var files, stack unix.Rlimit
	t.Must(unix.Getrlimit(unix.RLIMIT_NOFILE, &files))
	t.Must(unix.Getrlimit(unix.RLIMIT_STACK, &stack))
	if files.Cur < 256 || files.Cur > files.Max || stack.Cur < 1<<20 {
		t.Errorf("limits: files %v, stack %v", files, stack)
	}
	low := files
	low.Cur = 100
	t.Must(syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: low.Cur, Max: low.Max}))
	defer syscall.Setrlimit(unix.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files.Cur, Max: files.Max})
	var open []int
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.WantErr("one file too many", err, unix.EMFILE)
			break
		}
		if open = append(open, fd); len(open) > 100 {
			t.Fatalf("the limit of 100 files doesn't hold")
		}
	}
	check.Equal(t, "highest descriptor", open[len(open)-1], 99)
	_, err := unix.FcntlInt(0, unix.F_DUPFD, 100)
	t.WantErr("F_DUPFD beyond the limit", err, unix.EINVAL)
	t.WantErr("dup2 beyond the limit", syscall.Dup2(open[0], 100), unix.EBADF)
}

func sysinfo(t *check.T) {
	var info unix.Sysinfo_t
	t.Must(unix.Sysinfo(&info))
	total := uint64(info.Totalram) * uint64(info.Unit)
	if total < 16<<20 || uint64(info.Freeram)*uint64(info.Unit) > total || info.Uptime < 0 || info.Procs < 1 {
		t.Errorf("sysinfo: %+v", info)
	}
}
