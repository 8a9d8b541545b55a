package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

func devices(t *check.T) {
	null := openFile(t, "/dev/null", os.O_RDWR)
	n, err := null.Write(pattern(100000))
	t.Must(err)
	check.Equal(t, "write to /dev/null", n, 100000)
	_, err = null.Read(make([]byte, 1))
	t.WantErr("read from /dev/null", err, io.EOF)

	zero := openFile(t, "/dev/zero", os.O_RDWR)
	buf := pattern(10000)
	_, err = io.ReadFull(zero, buf)
	t.Must(err)
	if !bytes.Equal(buf, make([]byte, 10000)) {
		t.Errorf("/dev/zero gave something else")
	}
	for _, kind := range []int{unix.MAP_PRIVATE, unix.MAP_SHARED} {
		m, err := unix.Mmap(int(zero.Fd()), 0, 10000, unix.PROT_READ|unix.PROT_WRITE, kind)
		t.Must(err)
		if !bytes.Equal(m, make([]byte, 10000)) {
			t.Errorf("/dev/zero, mapped, has something else")
		}
		copy(m, pattern(10000)) // which /dev/zero doesn't keep
		t.Must(unix.Munmap(m))
	}
	for _, name := range []string{"/dev/null", "/dev/full"} {
		f := openFile(t, name, os.O_RDWR)
		_, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE)
		t.WantErr("mmap of "+name, err, unix.ENODEV)
	}
	for _, name := range []string{"/dev/urandom", "/dev/random"} {
		random := openFile(t, name, os.O_RDONLY)
		a, b := make([]byte, 4096), make([]byte, 4096)
		_, err = io.ReadFull(random, a)
		t.Must(err)
		_, err = io.ReadFull(random, b)
		t.Must(err)
		if bytes.Equal(a, b) || bytes.Count(a, []byte{a[0]}) > 100 {
			t.Errorf("%s is not random", name)
		}
	}
	for _, name := range []string{"/dev/null", "/dev/zero", "/dev/urandom"} {
		var st unix.Stat_t
		t.Must(unix.Stat(name, &st))
		check.Equal(t, "type of "+name, st.Mode&unix.S_IFMT, unix.S_IFCHR)
	}
	var st unix.Stat_t
	t.Must(unix.Stat("/dev/null", &st))
	check.Equal(t, "number of /dev/null", st.Rdev, unix.Mkdev(1, 3))
	for fd, name := range []string{"/dev/stdin", "/dev/stdout", "/dev/stderr"} {
		target, err := os.Readlink(name)
		t.Must(err)
		check.Equal(t, name, target, fmt.Sprintf("/proc/self/fd/%d", fd))
	}
}

// A program's file can't be changed while it runs: what is mapped would change, or be cut off.
func programIsBusy(t *check.T) {
	for _, flags := range []int{unix.O_WRONLY, unix.O_RDWR, unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC, unix.O_TRUNC} {
		_, err := unix.Open("/proc/self/exe", flags, 0o777)
		t.WantErr(fmt.Sprintf("open of the program with flags %#x", flags), err, unix.ETXTBSY)
	}
	t.WantErr("truncate of the program", unix.Truncate("/proc/self/exe", 0), unix.ETXTBSY)
	file := openFile(t, "/proc/self/exe", os.O_RDONLY)
	t.Must(file.Close())
}

func proc(t *check.T) {
	read := func(name string) string {
		text, err := os.ReadFile(name)
		t.Must(err)
		return string(text)
	}
	exe, err := os.Readlink("/proc/self/exe")
	t.Must(err)
	program, err := os.ReadFile("/proc/self/exe")
	t.Must(err)
	if !bytes.HasPrefix(program, []byte("\x7fELF")) || exe == "" {
		t.Errorf("/proc/self/exe is %q and starts with %.4q", exe, program)
	}
	check.Equal(t, "cmdline", read("/proc/self/cmdline"), strings.Join(os.Args, "\x00")+"\x00")
	if maps := read("/proc/self/maps"); !strings.Contains(maps, " r-xp ") || !strings.Contains(maps, "[stack]") {
		t.Errorf("/proc/self/maps:\n%s", maps)
	}
	if status := read("/proc/self/status"); !strings.Contains(status, fmt.Sprintf("\nPid:\t%d\n", os.Getpid())) {
		t.Errorf("/proc/self/status:\n%s", status)
	}
	fields := strings.Fields(read("/proc/self/stat"))
	if len(fields) < 44 || fields[0] != strconv.Itoa(os.Getpid()) {
		t.Errorf("/proc/self/stat: %v", fields)
	}
	if up := strings.Fields(read("/proc/uptime")); len(up) != 2 || !strings.Contains(up[0], ".") {
		t.Errorf("/proc/uptime: %v", up)
	}
	for _, want := range []string{"MemTotal:", "MemFree:", "MemAvailable:"} {
		if !strings.Contains(read("/proc/meminfo"), want) {
			t.Errorf("/proc/meminfo has no %s", want)
		}
	}
	check.Equal(t, "processors in /proc/cpuinfo", strings.Count(read("/proc/cpuinfo"), "processor\t:"), runtime.NumCPU())
	if cpus := read("/proc/stat"); !strings.HasPrefix(cpus, "cpu ") || !strings.Contains(cpus, "\ncpu0 ") {
		t.Errorf("/proc/stat:\n%s", cpus)
	}
	if online := read("/sys/devices/system/cpu/online"); !strings.HasPrefix(online, "0") {
		t.Errorf("/sys/devices/system/cpu/online: %q", online)
	}
	if n, err := strconv.Atoi(strings.TrimSpace(read("/proc/sys/net/core/somaxconn"))); err != nil || n < 128 {
		t.Errorf("/proc/sys/net/core/somaxconn: %d, %v", n, err)
	}
	check.Equal(t, "ostype", read("/proc/sys/kernel/ostype"), "Linux\n")
	if auxv := read("/proc/self/auxv"); len(auxv) == 0 || len(auxv)%16 != 0 {
		t.Errorf("/proc/self/auxv has %d bytes", len(auxv))
	}
	procFDs(t)
}

// procReadAgain: who reads a generated file from its start again sees what has changed; who reads on sees the text that it has begun.
func procReadAgain(t *check.T) {
	path := tempDir(t) + "/mapped"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	t.Must(f.Truncate(4096))
	maps := openFile(t, "/proc/self/maps", os.O_RDONLY)
	first, err := io.ReadAll(maps)
	t.Must(err)
	m, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ, unix.MAP_SHARED)
	t.Must(err)
	defer unix.Munmap(m)
	_, err = maps.Seek(0, io.SeekStart)
	t.Must(err)
	second, err := io.ReadAll(maps)
	t.Must(err)
	if bytes.Contains(first, []byte(path)) || !bytes.Contains(second, []byte(path)) {
		t.Errorf("before %s was mapped:\n%s\nand after that:\n%s", path, first, second)
	}
	// The file that tells of itself.
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fdinfo/%d", f.Fd()), unix.O_RDONLY, 0)
	t.Must(err)
	defer unix.Close(fd)
	t.Must(unix.Dup3(fd, int(f.Fd()), 0))
	for range 2 {
		_, err = f.Seek(0, io.SeekStart)
		t.Must(err)
		text, err := io.ReadAll(f)
		t.Must(err)
		if !bytes.HasPrefix(text, []byte("pos:")) {
			t.Errorf("of itself it says %q", text)
		}
	}
}

// procFDs checks the links of /proc/self/fd and their listing.
func procFDs(t *check.T) {
	path := tempDir(t) + "/f"
	f := openFile(t, path, os.O_RDWR|os.O_CREATE)
	target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	t.Must(err)
	check.Equal(t, "link of /proc/self/fd", target, path)
	entries, err := os.ReadDir("/proc/self/fd")
	t.Must(err)
	found := false
	for _, e := range entries {
		found = found || e.Name() == strconv.Itoa(int(f.Fd()))
	}
	if !found {
		t.Errorf("/proc/self/fd has no %d: %v", f.Fd(), entries)
	}
}

// etc reads what the resolvers of Go and C read. What stands there natively is the host's own.
func etc(t *check.T) {
	for _, file := range []struct{ name, holds string }{
		{"/etc/resolv.conf", "nameserver"},
		{"/etc/hosts", "localhost"},
		{"/etc/passwd", "root:"},
		{"/etc/group", "root:"},
	} {
		text, err := os.ReadFile(file.name)
		t.Must(err)
		if !strings.Contains(string(text), file.holds) {
			t.Errorf("%s does not hold %q:\n%s", file.name, file.holds, text)
		}
	}
	addrs, err := net.LookupHost("localhost")
	t.Must(err)
	if len(addrs) == 0 || addrs[0] != "127.0.0.1" && addrs[0] != "::1" {
		t.Errorf("localhost is %v", addrs)
	}
	port, err := net.LookupPort("tcp", "http")
	t.Must(err)
	check.Equal(t, "port of http", port, 80)
	name, err := os.Hostname()
	t.Must(err)
	if name == "" {
		t.Errorf("the host has no name")
	}
}
