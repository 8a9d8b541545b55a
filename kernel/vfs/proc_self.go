package vfs

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"wick/kernel/mm"
)

// ProcessInfo is what /proc tells of a process with the program that it runs. Functions that are nil tell nothing.
type ProcessInfo struct {
	PID     int
	Exe     string // absolute path of the program
	Args    []string
	Env     []string
	FDs     *Table
	Started time.Time

	Name    func() string                              // of the main thread
	NameOf  func(tid int) string                       // of a thread
	Auxv    []byte                                     // the auxiliary vector, getauxval(3)
	Threads func() []int                               // thread ids
	Times   func() (user, system time.Duration)        // CPU time
	Maps    func() []mm.AreaInfo                       // areas, by address
	Memory  func() (size, resident uint64)             // bytes
	Limits  func() (stack, files, addressSpace uint64) // soft limits, ^0: none
	Kin     func() (parent, group, session int)        // ids
	Zombie  func() bool                                // whether it has ended
	Stopped func() bool                                // whether a signal has stopped it
	Umask   func() uint32

	paths *Paths // by SetProcess
	once  sync.Once
	dir   *Dir // /proc/PID, once somebody has looked for it
}

// directory returns /proc/PID, an entry of proc.
func (info *ProcessInfo) directory(fs *FS, proc *Dir) *Dir {
	info.once.Do(func() {
		info.dir = fs.newProcess(info)
		info.dir.name, info.dir.parent = strconv.Itoa(info.PID), proc // its path; it is no entry of proc, but found by its number
	})
	return info.dir
}

// newProcess makes /proc/PID, see proc_pid(5).
func (fs *FS) newProcess(info *ProcessInfo) *Dir {
	d := fs.newDir(devProc, 0o555)
	d.fixed, d.owner = true, info.paths
	t := tree{fs, d, devProc}
	add := func(path string, generate func(info *ProcessInfo) []byte) {
		t.generated(path, func() []byte { return generate(info) })
	}
	add("cmdline", func(info *ProcessInfo) []byte { return terminated(info.Args) })
	add("environ", func(info *ProcessInfo) []byte { return terminated(info.Env) })
	add("comm", func(info *ProcessInfo) []byte { return []byte(info.name() + "\n") })
	add("maps", procMaps)
	add("status", procStatus)
	add("stat", procStat)
	add("statm", procStatm)
	add("limits", procLimits)
	add("auxv", func(info *ProcessInfo) []byte { return info.Auxv })
	t.fixed("cgroup", "0::/\n")
	t.fixed("oom_score_adj", "0\n")
	t.fixed("oom_score", "0\n")
	t.fixed("loginuid", "4294967295")
	t.fixed("mounts", mounts)
	t.fixed("mountinfo", mountinfo)
	addLink := func(name string, read func() (string, error)) *Symlink {
		link := fs.fixedLink(devProc, "")
		link.read = func(*Paths) (string, error) { return read() }
		d.addLocked(name, link)
		return link
	}
	addLink("exe", func() (string, error) { return info.Exe, nil })
	addLink("root", func() (string, error) { return "/", nil })
	addLink("cwd", func() (string, error) {
		path, ok := info.paths.Cwd().Path()
		if !ok {
			path += deletedSuffix
		}
		return path, nil
	}).jump = func(p *Paths) (place, error) { return place{node: info.paths.Cwd()}, p.mayTrace(info) }
	for _, name := range []string{"environ", "auxv"} {
		n := d.entries[name].node.meta()
		n.mode, n.owner = unix.S_IFREG|0o400, info.paths
	}
	fs.addFDs(d, info)
	fs.addTasks(d, info)
	fs.addNet(d)
	return d
}

const mounts = "wick / tmpfs rw 0 0\nproc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\ndevtmpfs /dev tmpfs rw 0 0\n"

// mountinfo is in the form of proc_pid_mountinfo(5). There are no cgroups, so Go finds no CPU limit.
const mountinfo = "1 1 0:1 / / rw - tmpfs wick rw\n2 1 0:3 / /proc rw - proc proc rw\n3 1 0:4 / /sys rw - sysfs sysfs rw\n4 1 0:1 / /dev rw - tmpfs devtmpfs rw\n"

// terminated joins strings with a NUL behind each.
func terminated(list []string) []byte {
	var t text
	for _, s := range list {
		t.str(s, "\x00")
	}
	return t
}

func (info *ProcessInfo) name() string {
	if info.Name == nil {
		return ""
	}
	return info.Name()
}

func (info *ProcessInfo) threads() []int {
	if info.Threads == nil {
		return []int{info.PID}
	}
	return info.Threads()
}

func (info *ProcessInfo) times() (user, system time.Duration) {
	if info.Times == nil {
		return 0, 0
	}
	return info.Times()
}

func (info *ProcessInfo) kin() (parent, group, session int) {
	if info.Kin == nil {
		return 0, info.PID, info.PID
	}
	return info.Kin()
}

// state returns the letter and the word for what the process does.
func (info *ProcessInfo) state() (letter, word string) {
	if info.Zombie != nil && info.Zombie() {
		return "Z", "zombie"
	}
	if info.Stopped != nil && info.Stopped() {
		return "T", "stopped"
	}
	return "R", "running"
}

// mayTrace tells whether the process may see of another what only the same user may: unix.EACCES, ptrace(2).
func (p *Paths) mayTrace(info *ProcessInfo) error {
	c, it := p.Credentials(), info.credentials()
	if c.FSUID == it.UID && c.FSUID == it.EUID && c.FSUID == it.SUID || c.Effective.Has(unix.CAP_SYS_PTRACE) {
		return nil
	}
	return unix.EACCES
}

// credentials returns what the process is.
func (info *ProcessInfo) credentials() *Credentials {
	if info.paths == nil {
		return Root()
	}
	return info.paths.Credentials()
}

func (info *ProcessInfo) memory() (size, resident uint64) {
	if info.Memory == nil {
		return 0, 0
	}
	return info.Memory()
}

// procMaps makes /proc/PID/maps, proc_pid_maps(5).
func procMaps(info *ProcessInfo) []byte {
	var t text
	if info.Maps == nil {
		return nil
	}
	for _, a := range info.Maps() {
		start := len(t)
		t.hex(a.Start, 8).str("-").hex(a.End, 8).str(" ")
		for _, bit := range [...]struct {
			bit  int
			name string
		}{{unix.PROT_READ, "r"}, {unix.PROT_WRITE, "w"}, {unix.PROT_EXEC, "x"}} {
			if a.Prot&bit.bit != 0 {
				t.str(bit.name)
			} else {
				t.str("-")
			}
		}
		if a.Shared {
			t.str("s ")
		} else {
			t.str("p ")
		}
		t.hex(uint64(a.Offset), 8)
		if len(a.Name) > 0 && a.Name[0] != '[' {
			t.str(" 00:01 1 ")
		} else {
			t.str(" 00:00 0 ")
		}
		if a.Name != "" {
			for len(t)-start < 73 {
				t.str(" ")
			}
			t.str(a.Name)
		}
		t.str("\n")
	}
	return t
}

// procStatus makes /proc/PID/status, proc_pid_status(5).
func procStatus(info *ProcessInfo) []byte {
	pid := int64(info.PID)
	parent, _, _ := info.kin()
	letter, word := info.state()
	umask := uint32(0o022)
	if info.Umask != nil {
		umask = info.Umask()
	}
	var t text
	t.str("Name:\t", info.name(), "\nUmask:\t", fmt.Sprintf("%04o", umask), "\nState:\t", letter, " (", word, ")\n")
	t.line("Tgid:", pid, "").line("Ngid:", 0, "").line("Pid:", pid, "").line("PPid:", int64(parent), "").line("TracerPid:", 0, "")
	who := info.credentials()
	for _, ids := range [...]struct {
		name string
		ids  []uint32
	}{{"Uid:", []uint32{who.UID, who.EUID, who.SUID, who.FSUID}}, {"Gid:", []uint32{who.GID, who.EGID, who.SGID, who.FSGID}}} {
		t.str(ids.name)
		for _, id := range ids.ids {
			t.str("\t").num(int64(id))
		}
		t.str("\n")
	}
	files := 0
	if info.FDs != nil {
		files = len(*info.FDs.slots.Load())
	}
	t.line("FDSize:", int64(files), "").str("Groups:\t")
	for i, gid := range who.Groups {
		if i > 0 {
			t.str(" ")
		}
		t.num(int64(gid))
	}
	t.str(" \n")
	size, resident := info.memory()
	t.kilobytes("VmSize:\t", size, 8).kilobytes("VmRSS:\t", resident, 8)
	t.line("Threads:", int64(len(info.threads())), "")
	for _, set := range [...]struct {
		name string
		caps Caps
	}{{"CapInh:\t", who.Inheritable}, {"CapPrm:\t", who.Permitted}, {"CapEff:\t", who.Effective}, {"CapBnd:\t", who.Bounding}, {"CapAmb:\t", 0}} {
		t.str(set.name).hex(uint64(set.caps), 16).str("\n")
	}
	return *t.str("NoNewPrivs:\t0\nSeccomp:\t0\n")
}

// procStat makes /proc/PID/stat, proc_pid_stat(5): 52 fields.
func procStat(info *ProcessInfo) []byte {
	user, system := info.times()
	size, resident := info.memory()
	pid := int64(info.PID)
	var t text
	parent, group, session := info.kin()
	letter, _ := info.state()
	t.num(pid).str(" (", info.name(), ") ", letter, " ").num(int64(parent)).str(" ").num(int64(group)).str(" ").num(int64(session))
	t.str(" 0 -1 4194304 0 0 0 0 ") // tty … cmajflt: 7 to 13
	t.num(ticks(user)).str(" ").num(ticks(system)).str(" 0 0 20 0 ")
	t.num(int64(len(info.threads()))).str(" 0 0 ") // itrealvalue, starttime: at the boot
	t.num(int64(size)).str(" ").num(int64(resident / pageSize)).str(" 18446744073709551615")
	for range 52 - 25 {
		t.str(" 0")
	}
	return *t.str("\n")
}

// procStatm makes /proc/PID/statm, proc_pid_statm(5), in pages.
func procStatm(info *ProcessInfo) []byte {
	size, resident := info.memory()
	var t text
	return *t.num(int64(size / pageSize)).str(" ").num(int64(resident / pageSize)).str(" 0 0 0 0 0\n")
}

// procLimits makes /proc/PID/limits, proc_pid_limits(5).
func procLimits(info *ProcessInfo) []byte {
	stack, files, space := ^uint64(0), uint64(DefaultFDLimit), ^uint64(0)
	if info.Limits != nil {
		stack, files, space = info.Limits()
	}
	var t text
	pad := func(s string, width int) {
		t.str(s)
		for range width - len(s) {
			t.str(" ")
		}
	}
	pad("Limit", 26)
	pad("Soft Limit", 21)
	pad("Hard Limit", 21)
	t.str("Units     \n")
	for _, l := range []struct {
		name  string
		value uint64
		unit  string
	}{
		{"Max stack size", stack, "bytes"}, {"Max open files", files, "files"}, {"Max address space", space, "bytes"},
	} {
		value := "unlimited"
		if l.value != ^uint64(0) {
			value = strconv.FormatUint(l.value, 10)
		}
		pad(l.name, 26)
		pad(value, 21)
		pad(value, 21)
		pad(l.unit, 10)
		t.str("\n")
	}
	return t
}

// addFDs adds /proc/PID/fd and fdinfo.
func (fs *FS) addFDs(self *Dir, info *ProcessInfo) {
	list := func(_ *Paths, first int64, emit func(int64, string) bool) {
		if info.FDs == nil {
			return
		}
		for fd, ok := info.FDs.Next(int(first)); ok; fd, ok = info.FDs.Next(fd + 1) {
			if !emit(int64(fd), strconv.Itoa(fd)) {
				return
			}
		}
	}
	links := fs.newDir(devProc, 0o500)
	links.fixed, links.names, links.owner = true, list, info.paths
	links.find = func(_ *Paths, name string) Node {
		fd, ok := info.openFD(name)
		if !ok {
			return nil
		}
		link := &Symlink{read: func(*Paths) (string, error) { return info.fdPath(fd) }, jump: func(*Paths) (place, error) { return info.fdPlace(fd) }}
		link.init(fs, devProc, unix.S_IFLNK|info.fdMode(fd))
		link.ino = dynamicPosition + uint64(fd)
		return link
	}
	self.addLocked("fd", links)
	infos := fs.newDir(devProc, 0o555)
	infos.fixed, infos.names = true, list
	infos.find = func(_ *Paths, name string) Node {
		fd, ok := info.openFD(name)
		if !ok {
			return nil
		}
		// Not again: its position is locked while a file is read, which may be the one that it tells of.
		s := fs.newGenerated(devProc, func(*Paths) ([]byte, error) { return info.fdInfo(fd) }, false)
		s.ino = 2*dynamicPosition + uint64(fd)
		return s
	}
	self.addLocked("fdinfo", infos)
}

// openFD reads the name of an open descriptor.
func (info *ProcessInfo) openFD(name string) (int, bool) {
	fd, ok := parseNumber(name)
	if !ok || info.FDs == nil {
		return 0, false
	}
	next, ok := info.FDs.Next(fd)
	return fd, ok && next == fd
}

// openFile returns what is open as fd, with a reference.
func (info *ProcessInfo) openFile(fd int) (*OpenFile, error) {
	if info.FDs == nil {
		return nil, unix.ENOENT
	}
	o, err := info.FDs.Get(fd)
	if err != nil {
		return nil, unix.ENOENT
	}
	return o, nil
}

// fdMode returns the permissions of /proc/PID/fd/N, which tell how it was opened.
func (info *ProcessInfo) fdMode(fd int) uint32 {
	o, err := info.openFile(fd)
	if err != nil {
		return 0
	}
	defer o.Release()
	mode := uint32(0)
	if o.Readable() {
		mode |= 0o500
	}
	if o.Writable() {
		mode |= 0o300
	}
	return mode
}

// fdPath returns the text of /proc/PID/fd/N.
func (info *ProcessInfo) fdPath(fd int) (string, error) {
	o, err := info.openFile(fd)
	if err != nil {
		return "", err
	}
	defer o.Release()
	if h, ok := o.file.(PathHolder); ok {
		return h.Path(), nil
	}
	st, err := o.file.Stat()
	if err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		return anonymousName("socket", st.Ino), nil
	}
	return "anon_inode:[unknown]", nil
}

// fdPlace returns where /proc/PID/fd/N leads.
func (info *ProcessInfo) fdPlace(fd int) (place, error) {
	o, err := info.openFile(fd)
	if err != nil {
		return place{}, err
	}
	defer o.Release()
	at := place{node: NodeOf(o.file)}
	if f, ok := o.file.(interface{ foundAt() (*Dir, string) }); ok {
		at.dir, at.name = f.foundAt()
	}
	return at, nil
}

// fdInfo makes /proc/PID/fdinfo/N, proc_pid_fdinfo(5).
func (info *ProcessInfo) fdInfo(fd int) ([]byte, error) {
	o, err := info.openFile(fd)
	if err != nil {
		return nil, err
	}
	defer o.Release()
	flags := o.Flags()
	if on, err := info.FDs.CloseOnExec(fd); err == nil && on {
		flags |= unix.O_CLOEXEC
	}
	o.posMu.Lock()
	pos := o.pos
	o.posMu.Unlock()
	var t text
	t.line("pos:", pos, "").str("flags:\t0", strconv.FormatUint(uint64(flags), 8), "\nmnt_id:\t1\n")
	return t, nil
}

// addTasks adds /proc/PID/task: the threads, each with its name.
func (fs *FS) addTasks(self *Dir, info *ProcessInfo) {
	tasks := fs.newDir(devProc, 0o555)
	tasks.fixed = true
	tasks.names = func(_ *Paths, first int64, emit func(int64, string) bool) {
		for _, tid := range info.threads() {
			if int64(tid) >= first && !emit(int64(tid), strconv.Itoa(tid)) {
				return
			}
		}
	}
	tasks.find = func(_ *Paths, name string) Node {
		tid, ok := parseNumber(name)
		if !ok {
			return nil
		}
		for _, t := range info.threads() {
			if t == tid {
				return fs.newTask(self, tasks, info, name, tid)
			}
		}
		return nil
	}
	self.addLocked("task", tasks)
}

// newTask makes the directory of a thread, which tells of its process, but has the thread's own name.
func (fs *FS) newTask(self, tasks *Dir, info *ProcessInfo, name string, tid int) *Dir {
	d := fs.newDir(devProc, 0o555)
	d.fixed, d.parent, d.name = true, tasks, name
	tree{fs, d, devProc}.generated("comm", func() []byte {
		if info.NameOf == nil {
			return []byte(info.name() + "\n")
		}
		return []byte(info.NameOf(tid) + "\n")
	})
	d.find = func(p *Paths, name string) Node {
		if name == "task" {
			return nil
		}
		return self.lookupLocked(p, name)
	}
	d.names = func(_ *Paths, first int64, emit func(int64, string) bool) {
		for _, e := range self.order {
			if e.position >= first && e.name != "task" && e.name != "comm" && !emit(e.position, e.name) {
				return
			}
		}
	}
	return d
}

// addNet adds /proc/PID/net: what the network layer has to tell.
func (fs *FS) addNet(self *Dir) {
	d := fs.newDir(devProc, 0o555)
	d.fixed = true
	for _, name := range []string{"dev", "if_inet6", "route", "tcp", "tcp6", "udp", "udp6", "unix", "snmp", "netstat", "sockstat"} {
		if fs.options.NetFile == nil {
			continue
		}
		if contents := fs.options.NetFile(name); contents != nil {
			d.addLocked(name, fs.newText(devProc, func(*Paths) ([]byte, error) { return contents(), nil }))
		}
	}
	self.addLocked("net", d)
}
