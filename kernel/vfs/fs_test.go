package vfs

import (
	"encoding/binary"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/bundle"
	"wick/kernel/mm"
)

func TestInitialFiles(t *testing.T) {
	modified := time.Unix(1234567, 89)
	fs := newTestFS(t, Options{HostName: "box", Address: "10.0.2.15/24", DNS: "10.0.2.3"},
		bundle.File{Path: "/bin", Mode: bundle.ModeDir | 0o711},
		bundle.File{Path: "/bin/prog", Mode: bundle.ModeRegular | 0o755, Data: []byte("ELF"), ModTime: modified},
		bundle.File{Path: "/bin/link", Mode: bundle.ModeSymlink | 0o777, Link: "prog"},
		bundle.File{Path: "/etc", Mode: bundle.ModeDir | 0o755},
		bundle.File{Path: "/etc/hosts", Mode: bundle.ModeRegular | 0o644, Data: []byte("mine")},
		bundle.File{Path: "/proc", Mode: bundle.ModeDir | 0o755},
		bundle.File{Path: "/tmp", Mode: bundle.ModeSymlink | 0o777, Link: "/nowhere"},
	)
	paths := fs.NewPaths()
	if got := contents(t, paths, "/bin/link"); got != "ELF" {
		t.Errorf("/bin/link: %q", got)
	}
	n, err := paths.Lookup(nil, "/bin/prog", true)
	if err != nil {
		t.Fatal(err)
	}
	if st := n.Stat(); st.Mode != unix.S_IFREG|0o755 || st.Size != 3 || st.Mtim != unix.NsecToTimespec(modified.UnixNano()) {
		t.Errorf("stat %+v", st)
	}
	if err := Access(Root(), n, unix.X_OK); err != nil {
		t.Errorf("access: %v", err)
	}
	for path, want := range map[string]string{
		"/etc/hosts":       "mine",
		"/etc/hostname":    "box\n",
		"/etc/resolv.conf": "nameserver 10.0.2.3\n",
		"/proc/version":    "Linux version " + Release + " ",
	} {
		if got := contents(t, paths, path); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
	if n, _ := paths.Lookup(nil, "/etc/hosts", true); Access(Root(), n, unix.X_OK) != unix.EACCES {
		t.Error("a file without x bits can be executed")
	}
	if _, err := paths.Lookup(nil, "/tmp", true); err != unix.ENOENT {
		t.Errorf("/tmp, a link that leads nowhere: %v", err)
	}
}

func TestEtcDefaults(t *testing.T) {
	paths := newTestFS(t, Options{Address: "10.0.2.15/24"}).NewPaths()
	if got, want := contents(t, paths, "/etc/hosts"), "10.0.2.15\twick\n"; !strings.HasSuffix(got, want) {
		t.Errorf("/etc/hosts: %q", got)
	}
	for _, path := range []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"} {
		if contents(t, paths, path) == "" {
			t.Errorf("%s is empty", path)
		}
	}
	o := mustOpen(t, paths, "/etc/hosts", unix.O_RDWR|unix.O_TRUNC)
	write(t, o, "changed")
	o.Release()
	if got := contents(t, paths, "/etc/hosts"); got != "changed" {
		t.Errorf("/etc/hosts: %q", got)
	}
}

func TestSymlinkLoops(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	paths.Symlink("b", nil, "/a")
	paths.Symlink("a", nil, "/b")
	if _, err := paths.Lookup(nil, "/a", true); err != unix.ELOOP {
		t.Errorf("a loop: %v", err)
	}
	if _, err := paths.Open(nil, "/a", unix.O_CREAT|unix.O_RDWR, 0o600); err != unix.ELOOP {
		t.Errorf("creating through a loop: %v", err)
	}
	// A chain of as many links as are followed, and one more.
	paths.Symlink("/", nil, "/l0")
	for i := 1; i <= maxLinks; i++ {
		paths.Symlink("l"+string(rune('0'+i-1)), nil, "/l"+string(rune('0'+i)))
	}
	if _, err := paths.Lookup(nil, "/l"+string(rune('0'+maxLinks-1)), true); err != nil {
		t.Errorf("%d links: %v", maxLinks, err)
	}
	if _, err := paths.Lookup(nil, "/l"+string(rune('0'+maxLinks)), true); err != unix.ELOOP {
		t.Errorf("%d links: %v", maxLinks+1, err)
	}
	if _, err := paths.Lookup(nil, strings.Repeat("./", pathMax/2), true); err != unix.ENAMETOOLONG {
		t.Errorf("a long path: %v", err)
	}
	if _, err := paths.Lookup(nil, strings.Repeat("/", pathMax-1), true); err != nil {
		t.Errorf("a path as long as may be: %v", err)
	}
}

func TestDirectoryWhileItChanges(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	name := func(i int) string { return "/f" + string(rune('A'+i/26)) + string(rune('a'+i%26)) }
	for i := range 200 {
		paths.MakeFile(nil, name(i), 0o600)
	}
	o := mustOpen(t, paths, "/", unix.O_RDONLY|unix.O_DIRECTORY)
	seen := map[string]int{}
	for i := 0; ; i++ {
		n := 0
		o.ReadDir(func(_ uint64, _ uint8, entry string, _ int64) bool {
			if n == 7 {
				return false
			}
			n++
			seen["/"+entry]++
			return true
		})
		if n == 0 {
			break
		}
		// Files that stay must be seen exactly once, whatever happens to others.
		for j := range 5 {
			paths.Unlink(nil, name((i*5+j)*2%200))
		}
		paths.MakeFile(nil, "/new"+string(rune('A'+i)), 0o600)
	}
	for i := 1; i < 200; i += 2 {
		if seen[name(i)] != 1 {
			t.Errorf("%s seen %d times", name(i), seen[name(i)])
		}
	}
	if pos, err := o.Seek(0, 0); pos != 0 || err != nil {
		t.Errorf("rewind: %d, %v", pos, err)
	}
	first := ""
	o.ReadDir(func(_ uint64, _ uint8, entry string, _ int64) bool { first = entry; return false })
	if first != "." {
		t.Errorf("first after rewind: %q", first)
	}
}

func TestDevices(t *testing.T) {
	var logged string
	paths := newTestFS(t, Options{Log: func(_ string, args ...any) { logged = string(args[0].([]byte)) }}).NewPaths()
	read := func(path string, n int) ([]byte, error) {
		o := mustOpen(t, paths, path, unix.O_RDONLY)
		defer o.Release()
		buf := make([]byte, n)
		for i := range buf {
			buf[i] = 0xff
		}
		b := Bytes(buf)
		got, err := o.Read(&b)
		return buf[:got], err
	}
	put := func(path string) (int64, error) {
		o := mustOpen(t, paths, path, unix.O_WRONLY)
		defer o.Release()
		b := Bytes("hello")
		return o.Write(&b)
	}
	if b, err := read("/dev/null", 10); len(b) != 0 || err != nil {
		t.Errorf("/dev/null: %d, %v", len(b), err)
	}
	for _, path := range []string{"/dev/zero", "/dev/full"} {
		if b, err := read(path, 10000); len(b) != 10000 || strings.Trim(string(b), "\x00") != "" || err != nil {
			t.Errorf("%s: %d, %v", path, len(b), err)
		}
	}
	for _, path := range []string{"/dev/random", "/dev/urandom"} {
		if b, err := read(path, 40000); len(b) != 40000 || strings.Trim(string(b[:20]), "\xff") == "" || err != nil {
			t.Errorf("%s: %d, %v", path, len(b), err)
		}
	}
	// Of random bytes there are no more at a time, for a signal has to wait for all of them.
	if b, err := read("/dev/urandom", 33<<20); len(b) != 32<<20-1 || err != nil {
		t.Errorf("/dev/urandom: %d, %v", len(b), err)
	}
	for _, path := range []string{"/dev/null", "/dev/zero", "/dev/urandom", "/dev/kmsg"} {
		if n, err := put(path); n != 5 || err != nil {
			t.Errorf("write %s: %d, %v", path, n, err)
		}
	}
	if logged != "hello" {
		t.Errorf("logged %q", logged)
	}
	if _, err := put("/dev/full"); err != unix.ENOSPC {
		t.Errorf("write /dev/full: %v", err)
	}
	o := mustOpen(t, paths, "/dev/null", unix.O_RDWR)
	if st, _ := o.File().Stat(); st.Mode != unix.S_IFCHR|0o666 || st.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("/dev/null: %+v", st)
	}
	if pos, err := o.Seek(100, 0); pos != 0 || err != nil {
		t.Errorf("seek: %d, %v", pos, err)
	}
	if _, err := paths.Open(nil, "/dev/tty", unix.O_RDWR, 0); err != unix.ENXIO {
		t.Errorf("/dev/tty without a terminal: %v", err)
	}
	if err := paths.Mkdir(nil, "/dev/shm/x", 0o700); err != nil {
		t.Errorf("mkdir in /dev/shm: %v", err)
	}
}

// newProcessPaths returns the paths of a process with some descriptors.
func newProcessPaths(t *testing.T) (*Paths, *Table) {
	fs := newTestFS(t, Options{CPUs: 4, Memory: func() (total, free uint64) { return 128 << 20, 64 << 20 }},
		bundle.File{Path: "/prog", Mode: bundle.ModeRegular | 0o755, Data: []byte("ELF")})
	table := fs.NewTable()
	paths := fs.NewPaths()
	paths.SetProcess(&ProcessInfo{
		PID: 17, Exe: "/prog", Args: []string{"prog", "-x"}, Env: []string{"A=1"}, FDs: table,
		Name:    func() string { return "prog" },
		Threads: func() []int { return []int{17, 18, 19} },
		Times:   func() (user, system time.Duration) { return 1500 * time.Millisecond, 0 },
		Memory:  func() (size, resident uint64) { return 8 << 20, 4 << 20 },
		Maps: func() []mm.AreaInfo {
			return []mm.AreaInfo{
				{Start: 0x400000, End: 0x401000, Prot: unix.PROT_READ | unix.PROT_EXEC, Offset: 0x1000, Name: "/prog"},
				{Start: 0x7f0000000000, End: 0x7f0000001000, Prot: unix.PROT_READ | unix.PROT_WRITE, Shared: true},
			}
		},
	})
	return paths, table
}

// TestProcNetIsMadeWhenRead: to look for a process in /proc, as each Go program does at its start, costs nothing of its sockets.
func TestProcNetIsMadeWhenRead(t *testing.T) {
	made := 0
	fs := newTestFS(t, Options{NetFile: func(name string) func() []byte {
		if name != "tcp" {
			return nil
		}
		return func() []byte {
			made++
			return []byte("sockets\n")
		}
	}})
	paths := fs.NewPaths()
	paths.SetProcess(&ProcessInfo{PID: 17, FDs: fs.NewTable()})
	if got := (ourOps{paths}).list("/proc/self/net"); got != "tcp" || made != 0 {
		t.Errorf("/proc/self/net has %q, and %d files were made", got, made)
	}
	if got := contents(t, paths, "/proc/net/tcp"); got != "sockets\n" || made != 1 {
		t.Errorf("/proc/net/tcp is %q, and %d files were made", got, made)
	}
}

func TestProcSelf(t *testing.T) {
	paths, table := newProcessPaths(t)
	for path, want := range map[string]string{
		"/proc/self/cmdline":      "prog\x00-x\x00",
		"/proc/self/environ":      "A=1\x00",
		"/proc/self/comm":         "prog\n",
		"/proc/17/cgroup":         "0::/\n",
		"/proc/self/exe":          "ELF",
		"/proc/self/task/18/comm": "prog\n",
		"/proc/self/statm":        "2048 1024 0 0 0 0 0\n",
		"/proc/self/maps": "00400000-00401000 r-xp 00001000 00:01 1                                  /prog\n" +
			"7f0000000000-7f0000001000 rw-s 00000000 00:00 0 \n",
		"/sys/devices/system/cpu/online":                     "0-3\n",
		"/sys/devices/system/cpu/offline":                    "\n",
		"/sys/devices/system/cpu/cpu3/topology/core_id":      "3\n",
		"/proc/diskstats":                                    "",
		"/proc/vmstat":                                       "nr_free_pages 16384\nnr_file_pages 0\nnr_shmem 0\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n",
		"/proc/sys/kernel/random/entropy_avail":              "256\n",
		"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size": "2097152\n",
		"/proc/sys/net/core/somaxconn":                       "4096\n",
		"/proc/sys/kernel/osrelease":                         Release + "\n",
		"/proc/sys/vm/overcommit_memory":                     "1\n",
	} {
		if got := contents(t, paths, path); got != want {
			t.Errorf("%s:\n%q\nwant\n%q", path, got, want)
		}
	}
	if got := contents(t, paths, "/proc/meminfo"); !strings.HasPrefix(got, "MemTotal:         131072 kB\nMemFree:           65536 kB\n") {
		t.Errorf("/proc/meminfo:\n%s", got)
	}
	if n := len(strings.Fields(contents(t, paths, "/proc/self/stat"))); n != 52 {
		t.Errorf("/proc/self/stat has %d fields", n)
	}
	if got := contents(t, paths, "/proc/self/status"); !strings.Contains(got, "\nThreads:\t3\n") || !strings.Contains(got, "\nVmRSS:\t    4096 kB\n") {
		t.Errorf("/proc/self/status:\n%s", got)
	}
	if got := contents(t, paths, "/proc/cpuinfo"); strings.Count(got, "processor\t: ") != 4 {
		t.Errorf("/proc/cpuinfo:\n%s", got)
	}
	for path, want := range map[string]string{
		"/proc/self": "17", "/proc/self/exe": "/prog", "/proc/self/cwd": "/", "/proc/self/root": "/",
		"/proc/mounts": "self/mounts", "/dev/stdin": "/proc/self/fd/0",
	} {
		if got, err := paths.Readlink(nil, path); got != want || err != nil {
			t.Errorf("%s -> %q, %v; want %q", path, got, err, want)
		}
	}
	table.CloseRange(1, 2, false)
	o := mustOpen(t, paths, "/prog", unix.O_RDONLY)
	fd, _ := table.Install(o, 5, false)
	if got := (ourOps{paths}).list("/proc/self/fd"); got != "0 5" {
		t.Errorf("/proc/self/fd: %q", got)
	}
	if got, err := paths.Readlink(nil, "/proc/self/fd/5"); got != "/prog" || err != nil || fd != 5 {
		t.Errorf("/proc/self/fd/5 -> %q, %v", got, err)
	}
	if got := contents(t, paths, "/proc/self/fd/5"); got != "ELF" {
		t.Errorf("/proc/self/fd/5: %q", got)
	}
	if got := contents(t, paths, "/proc/self/fdinfo/5"); !strings.HasPrefix(got, "pos:\t0\nflags:\t0") {
		t.Errorf("/proc/self/fdinfo/5: %q", got)
	}
	for path, want := range map[string]error{
		"/proc/self/fd/6": unix.ENOENT, "/proc/self/fd/05": unix.ENOENT, "/proc/18": unix.ENOENT, "/proc/self/task/20": unix.ENOENT,
	} {
		if _, err := paths.Lookup(nil, path, true); err != want {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestProcCannotBeChanged(t *testing.T) {
	paths, _ := newProcessPaths(t)
	check := func(what string, got, want error) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	check("mkdir", paths.Mkdir(nil, "/proc/x", 0o700), unix.ENOENT)
	check("unlink", paths.Unlink(nil, "/proc/version"), unix.EPERM)
	check("rmdir", paths.Rmdir(nil, "/proc/sys"), unix.EPERM)
	check("rmdir of the mount", paths.Rmdir(nil, "/proc"), unix.EBUSY)
	check("rename of the mount", paths.Rename(nil, "/proc", nil, "/x", 0), unix.EBUSY)
	check("rename out", paths.Rename(nil, "/proc/version", nil, "/x", 0), unix.EXDEV)
	check("rename in", paths.Rename(nil, "/prog", nil, "/proc/x", 0), unix.EXDEV)
	n, _ := paths.Lookup(nil, "/prog", true)
	check("link in", paths.Link(n, nil, "/sys/x"), unix.EPERM)
	_, err := paths.Open(nil, "/proc/x", unix.O_CREAT|unix.O_RDWR, 0o600)
	check("create", err, unix.ENOENT)
	_, err = paths.Open(nil, "/proc/version", unix.O_WRONLY, 0)
	check("open to write", err, unix.EACCES)
}

func TestProcWithoutProcess(t *testing.T) {
	paths := newTestFS(t, Options{}).NewPaths()
	if _, err := paths.Lookup(nil, "/proc/self", true); err != unix.ENOENT {
		t.Errorf("/proc/self: %v", err)
	}
	if got := (ourOps{paths}).list("/proc"); !strings.Contains(got, "meminfo") {
		t.Errorf("/proc: %s", got)
	}
}

// TestWholeTree opens and reads whatever there is.
func TestWholeTree(t *testing.T) {
	paths, _ := newProcessPaths(t)
	depth := 0
	var visit func(path string)
	visit = func(path string) {
		o, err := paths.Open(nil, path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			if path != "/dev/tty" {
				t.Errorf("open %s: %v", path, err)
			}
			return
		}
		defer o.Release()
		if h, ok := o.File().(PathHolder); ok {
			_ = h.Path()
		}
		if _, err := o.File().Stat(); err != nil {
			t.Errorf("stat %s: %v", path, err)
		}
		var names []string
		err = o.ReadDir(func(_ uint64, typ uint8, name string, _ int64) bool {
			if name != "." && name != ".." && typ != unix.DT_LNK {
				names = append(names, name)
			}
			return true
		})
		if err == unix.ENOTDIR {
			b := Bytes(make([]byte, 100))
			if _, err := o.Read(&b); err != nil && err != unix.EAGAIN {
				t.Errorf("read %s: %v", path, err)
			}
			return
		}
		sort.Strings(names)
		if depth++; depth < 5 {
			for _, name := range names {
				visit(strings.TrimSuffix(path, "/") + "/" + name)
			}
		}
		depth--
	}
	visit("/")
}

func TestFlock(t *testing.T) {
	paths := emptyFS(t).NewPaths()
	a := mustOpen(t, paths, "/f", unix.O_RDWR|unix.O_CREAT)
	b := mustOpen(t, paths, "/f", unix.O_RDWR)
	try := func(o *OpenFile, operation int, want error) {
		t.Helper()
		if err := o.Flock(newSleeper(), operation|unix.LOCK_NB); err != want {
			t.Errorf("flock %d = %v, want %v", operation, err, want)
		}
	}
	try(a, unix.LOCK_SH, nil)
	try(b, unix.LOCK_SH, nil)
	try(b, unix.LOCK_EX, unix.EAGAIN) // and the shared one is lost
	try(a, unix.LOCK_EX, nil)
	try(b, unix.LOCK_SH, unix.EAGAIN)
	try(a, unix.LOCK_EX, nil)
	done := make(chan error)
	go func() { done <- b.Flock(newSleeper(), unix.LOCK_EX) }()
	a.Release() // the last descriptor unlocks
	if err := <-done; err != nil {
		t.Error(err)
	}
	try(b, unix.LOCK_UN, nil)
	try(b, 77, unix.EINVAL)
}

func TestTimerFD(t *testing.T) {
	timer := NewTimerFD(false)
	buf := make([]byte, 8)
	b := Bytes(buf)
	if _, err := timer.Read(&b, 0); err != unix.EAGAIN {
		t.Errorf("read of a disarmed timer: %v", err)
	}
	// Armed in the past: it has expired at once, as often as its interval fits in.
	timer.Set(time.Now().Add(-10*time.Hour), time.Hour)
	err := Wait(newSleeper(), timer, waiter.ReadableEvents, noDeadline, func() error {
		if timer.Readiness(waiter.ReadableEvents) == 0 {
			return unix.EAGAIN
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b = Bytes(buf)
	n, err := timer.Read(&b, 0)
	if n != 8 || err != nil || binary.NativeEndian.Uint64(buf) != 11 {
		t.Errorf("read: %d, %v, %d expirations; want 11", n, err, binary.NativeEndian.Uint64(buf))
	}
	if left, interval := timer.Get(); left <= 0 || left > time.Hour || interval != time.Hour {
		t.Errorf("Get = %v, %v", left, interval)
	}
	if left, _ := timer.Set(time.Time{}, 0); left <= 0 {
		t.Errorf("old setting: %v", left)
	}
	if left, _ := timer.Get(); left != 0 {
		t.Errorf("disarmed: %v left", left)
	}
}

func TestTimerFDCountsWhatItsTimerIsLateFor(t *testing.T) {
	timer := NewTimerFD(false)
	timer.Set(time.Now().Add(time.Hour), 10*time.Minute)
	timer.mu.Lock()
	timer.next = time.Now().Add(-25 * time.Minute)
	timer.mu.Unlock()
	buf := make([]byte, 8)
	b := Bytes(buf)
	if _, err := timer.Read(&b, 0); err != nil || binary.NativeEndian.Uint64(buf) != 3 {
		t.Errorf("read: %v, %d expirations; want 3", err, binary.NativeEndian.Uint64(buf))
	}
	if left, _ := timer.Get(); left <= 0 || left > 5*time.Minute {
		t.Errorf("%v left, want 5 minutes", left)
	}
}

// TestOneTextIsGeneratedAtATime, and memory is relieved before.
func TestOneTextIsGeneratedAtATime(t *testing.T) {
	var relieved, at, most, made atomic.Int32
	fs := newTestFS(t, Options{Relieve: func() { relieved.Add(1) }})
	fs.mu.Lock()
	fs.root.addLocked("told", fs.newText(devProc, func(*Paths) ([]byte, error) {
		most.Store(max(most.Load(), at.Add(1)))
		time.Sleep(time.Millisecond)
		at.Add(-1)
		made.Add(1)
		return []byte("text"), nil
	}))
	fs.mu.Unlock()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			o, err := fs.NewPaths().Open(nil, "/told", unix.O_RDONLY, 0)
			if err != nil {
				t.Error(err)
				return
			}
			o.Release()
		})
	}
	all.Wait()
	if made.Load() != 20 || relieved.Load() != 20 || most.Load() != 1 {
		t.Errorf("%d texts made, up to %d at a time, %d times relieved", made.Load(), most.Load(), relieved.Load())
	}
}

// TestGeneratedFileReadAgain: what is read from the start again is new, and what it takes of memory is given back.
func TestGeneratedFileReadAgain(t *testing.T) {
	fs := newTestFS(t, Options{})
	text := ""
	fs.mu.Lock()
	fs.root.addLocked("told", fs.newText(devProc, func(*Paths) ([]byte, error) { return []byte(text), nil }))
	fs.mu.Unlock()
	o := mustOpen(t, fs.NewPaths(), "/told", unix.O_RDONLY)
	for _, text = range []string{"", "a little", strings.Repeat("more", 1000), "less"} {
		if _, err := o.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, o); got != text {
			t.Errorf("%d bytes, want %d", len(got), len(text))
		}
		if used := fs.memory.text.used.Load(); used != int64(len(text)) {
			t.Errorf("%d bytes count, want %d", used, len(text))
		}
	}
	o.Release()
	if used := fs.memory.text.used.Load(); used != 0 {
		t.Errorf("%d bytes count in the end", used)
	}
}

// TestTimerFDRestsUntilItIsRead: whoever doesn't read is told of one expiration, and a short interval takes no time.
func TestTimerFDRestsUntilItIsRead(t *testing.T) {
	timer := NewTimerFD(false)
	entry, told := waiter.NewChannelEntry(waiter.ReadableEvents)
	timer.EventRegister(&entry)
	defer timer.EventUnregister(&entry)
	rests := func() bool {
		timer.mu.Lock()
		defer timer.mu.Unlock()
		return !timer.timer.Stop()
	}
	buf := make([]byte, 8)
	for _, look := range []func(){
		func() { timer.Get() },
		func() { b := Bytes(buf); timer.Read(&b, 0) },
	} {
		timer.Set(time.Now(), time.Hour)
		<-told
		if !rests() {
			t.Error("waits for the next expiration, which nobody has to be told of")
		}
		if look(); rests() {
			t.Error("rests, though somebody has looked")
		}
	}
}

func BenchmarkNewFS(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewFS(nil, 0, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	paths := newTestFS(b, Options{}).NewPaths()
	b.ReportAllocs()
	for b.Loop() {
		o, err := paths.Open(nil, "/etc/resolv.conf", unix.O_RDONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		o.Release()
	}
}

func TestVsockDevice(t *testing.T) {
	paths := newTestFS(t, Options{CID: func() uint32 { return 77 }}).NewPaths()
	f := mustOpen(t, paths, "/dev/vsock", unix.O_RDONLY).File()
	mem := make(testMemory, 4)
	if _, err := f.(Ioctler).Ioctl(mem, unix.IOCTL_VM_SOCKETS_GET_LOCAL_CID, 0x1000); err != nil || binary.NativeEndian.Uint32(mem) != 77 {
		t.Errorf("the CID is %v, %v", mem, err)
	}
	if _, err := f.(Ioctler).Ioctl(mem, unix.IOCTL_VM_SOCKETS_GET_LOCAL_CID, 0); err != unix.EFAULT {
		t.Errorf("at an address that isn't the program's: %v", err)
	}
	if _, err := f.(Ioctler).Ioctl(mem, unix.TCGETS, 0x1000); err != unix.ENOTTY {
		t.Errorf("another ioctl: %v", err)
	}
	if _, err := f.Read(new(Bytes), 0); err != unix.EINVAL {
		t.Errorf("read: %v", err)
	}
}
