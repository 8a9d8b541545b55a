package vfs

import (
	"crypto/rand"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Release and version that uname(2) and /proc report. Programs look at the release to tell what a
// kernel can do: this one answers ENOSYS for what it can't.
const (
	Release = "6.1.0-wick"
	Version = "#1 wick"
)

// clockTicks is USER_HZ: the unit of times in /proc, per second.
const clockTicks = 100

// newProc makes /proc, see proc(5). DEVIATION: the ids of threads lead nowhere, except in a process's own task directory.
func (fs *FS) newProc() *Dir {
	d := fs.newDir(devProc, 0o555)
	d.fixed = true
	t := tree{fs, d, devProc}
	d.find = func(p *Paths, name string) Node {
		if n, ok := parseNumber(name); ok {
			if info := p.process(n); info != nil {
				return info.directory(fs, d)
			}
		}
		return nil
	}
	d.names = func(p *Paths, first int64, emit func(int64, string) bool) {
		for _, pid := range p.processes() {
			if int64(pid) >= first && !emit(int64(pid), strconv.Itoa(pid)) {
				return
			}
		}
	}
	link := fs.fixedLink(devProc, "")
	link.read = func(p *Paths) (string, error) {
		info := p.info()
		if info == nil {
			return "", unix.ENOENT
		}
		return strconv.Itoa(info.PID), nil
	}
	d.addLocked("self", link)

	t.generated("cpuinfo", fs.cpuinfo)
	t.generated("meminfo", fs.meminfo)
	t.generated("stat", fs.stat)
	t.generated("uptime", fs.uptime)
	t.generated("loadavg", fs.loadavg)
	t.fixed("version", "Linux version "+Release+" ("+runtime.Version()+") "+Version+"\n")
	t.fixed("cmdline", "\n")
	t.fixed("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n")
	t.fixed("filesystems", "nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\n")
	t.fixed("diskstats", "") // there are no block devices
	t.fixed("partitions", "major minor  #blocks  name\n\n")
	t.generated("vmstat", fs.vmstat)
	t.fixed("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")
	d.addLocked("mounts", fs.fixedLink(devProc, "self/mounts"))
	d.addLocked("net", fs.fixedLink(devProc, "self/net"))
	fs.addSysctl(t)
	return d
}

// addSysctl adds /proc/sys, see proc_sys(5).
func (fs *FS) addSysctl(t tree) {
	for _, f := range [...][2]string{
		{"fs/file-max", strconv.Itoa(fs.maxFDs)},
		{"fs/inotify/max_queued_events", strconv.Itoa(maxInotifyEvents)},
		{"fs/inotify/max_user_instances", strconv.Itoa(maxInotifyInstances)},
		{"fs/inotify/max_user_watches", strconv.FormatInt(fs.inotify.watches.limit, 10)},
		{"fs/nr_open", strconv.Itoa(fs.maxFDs)},
		{"fs/pipe-max-size", strconv.Itoa(MaxPipeSize)},
		{"kernel/cap_last_cap", "40"},
		{"kernel/domainname", "(none)"},
		{"kernel/hostname", fs.options.HostName},
		{"kernel/ngroups_max", "65536"},
		{"kernel/osrelease", Release},
		{"kernel/ostype", "Linux"},
		{"kernel/pid_max", "32768"},
		{"kernel/random/entropy_avail", "256"}, // bits: what Linux tells from 5.18 on, once it is seeded
		{"kernel/random/poolsize", "256"},
		{"kernel/randomize_va_space", "0"},
		{"kernel/threads-max", "4096"},
		{"kernel/version", Version},
		{"net/core/somaxconn", "4096"},
		{"net/ipv4/ip_unprivileged_port_start", "0"}, // as in containers
		{"net/ipv4/ip_local_port_range", "32768\t60999"},
		{"net/ipv4/tcp_fastopen", "0"},
		{"vm/max_map_count", "65530"},
		{"vm/overcommit_memory", "1"},
	} {
		t.fixed("sys/"+f[0], f[1]+"\n")
	}
	t.generated("sys/kernel/random/uuid", fs.uuid)
	bootID := fs.uuid()
	t.generated("sys/kernel/random/boot_id", func() []byte { return bootID })
}

// uuid makes a random UUID [RFC 9562 5.4].
func (fs *FS) uuid() []byte {
	var b [16]byte
	rand.Read(b[:]) // never fails [crypto/rand]
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var t text
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			t.str("-")
		}
		t.hex(uint64(c), 2)
	}
	return *t.str("\n")
}

// Processes are all that /proc tells of.
type Processes struct {
	Find  func(pid int) *ProcessInfo         // nil: there is none
	List  func() []int                       // ids, in ascending order
	Count func() (threads int, forks uint64) // how many threads there are, and how many processes there have been
}

// SetProcesses tells of all processes. Without it, a process sees only itself.
func (fs *FS) SetProcesses(p Processes) { fs.processes.Store(&p) }

// process returns what /proc tells of a process, or nil.
func (p *Paths) process(pid int) *ProcessInfo {
	if info := p.info(); info != nil && info.PID == pid {
		return info
	}
	if all := p.fs.processes.Load(); all != nil {
		return all.Find(pid)
	}
	return nil
}

// processes returns the ids of all processes.
func (p *Paths) processes() []int {
	if all := p.fs.processes.Load(); all != nil {
		return all.List()
	}
	if info := p.info(); info != nil {
		return []int{info.PID}
	}
	return nil
}

// count returns how many threads there are, and how many processes there have been.
func (fs *FS) count() (threads int, forks uint64) {
	if all := fs.processes.Load(); all != nil {
		return all.Count()
	}
	return 1, 1
}

// loadavg makes /proc/loadavg, proc_loadavg(5). The load is not measured.
func (fs *FS) loadavg() []byte {
	threads, forks := fs.count()
	var t text
	return *t.str("0.00 0.00 0.00 1/").num(int64(threads)).str(" ").num(int64(forks)).str("\n")
}

// info returns whose /proc/self it is, or nil.
func (p *Paths) info() *ProcessInfo {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.self
}

func (fs *FS) machineMemory() (total, free uint64) {
	if fs.options.Memory == nil {
		return 0, 0
	}
	return fs.options.Memory()
}

// meminfo makes /proc/meminfo, proc_meminfo(5).
func (fs *FS) meminfo() []byte {
	total, free := fs.machineMemory()
	shared := uint64(fs.pages.used.Load()) * pageSize
	var t text
	for _, l := range []struct {
		name  string
		bytes uint64
	}{
		{"MemTotal:", total}, {"MemFree:", free}, {"MemAvailable:", free}, {"Buffers:", 0}, {"Cached:", shared},
		{"SwapCached:", 0}, {"SwapTotal:", 0}, {"SwapFree:", 0}, {"Shmem:", shared},
	} {
		t.kilobytes(l.name, l.bytes, 24-len(l.name))
	}
	return *t.str("HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n")
}

// vmstat makes the lines of /proc/vmstat, proc_vmstat(5), that are known: nothing is ever paged from a disk or to it, as there is
// none.
func (fs *FS) vmstat() []byte {
	_, free := fs.machineMemory()
	shared := fs.pages.used.Load()
	var t text
	for _, l := range [...]struct {
		name  string
		value int64
	}{
		{"nr_free_pages", int64(free / pageSize)}, {"nr_file_pages", shared}, {"nr_shmem", shared},
		{"pgpgin", 0}, {"pgpgout", 0}, {"pswpin", 0}, {"pswpout", 0},
	} {
		t.str(l.name, " ").num(l.value).str("\n")
	}
	return t
}

// cpuinfo makes /proc/cpuinfo, proc_cpuinfo(5).
func (fs *FS) cpuinfo() []byte {
	if fs.options.CPUInfo != nil {
		return fs.options.CPUInfo()
	}
	var t text
	for cpu := range fs.options.CPUs {
		t.str("processor\t: ").num(int64(cpu))
		t.str("\nvendor_id\t: unknown\nmodel name\t: x86-64\nphysical id\t: 0\ncore id\t\t: ").num(int64(cpu))
		t.str("\ncpu cores\t: ").num(int64(fs.options.CPUs))
		t.str("\nflags\t\t: fpu tsc msr pae cx8 cmov mmx fxsr sse sse2 syscall nx lm\n\n")
	}
	return t
}

// idle returns the time that all CPUs together were idle.
func (fs *FS) idle() time.Duration {
	if fs.options.Idle == nil {
		return 0
	}
	return fs.options.Idle()
}

// stat makes /proc/stat, proc_stat(5).
func (fs *FS) stat() []byte {
	cpus := time.Duration(fs.options.CPUs)
	idle := fs.idle()
	busy := max(0, time.Since(fs.started)*cpus-idle)
	var t text
	times := func(name string, busy, idle time.Duration) {
		t.str(name, " ").num(ticks(busy)).str(" 0 0 ").num(ticks(idle)).str(" 0 0 0 0 0 0\n")
	}
	times("cpu ", busy, idle)
	for cpu := range fs.options.CPUs {
		times("cpu"+strconv.Itoa(cpu), busy/cpus, idle/cpus)
	}
	t.str("intr 0\nctxt 0\nbtime ").num(fs.started.Unix())
	_, forks := fs.count()
	t.str("\nprocesses ").num(int64(forks)).str("\nprocs_running 1\nprocs_blocked 0\n")
	return t
}

// ticks converts to the unit of /proc.
func ticks(d time.Duration) int64 { return int64(d / (time.Second / clockTicks)) }

// uptime makes /proc/uptime, proc_uptime(5).
func (fs *FS) uptime() []byte {
	var t text
	t.seconds(time.Since(fs.started)).str(" ").seconds(fs.idle()).str("\n")
	return t
}

// seconds appends a time with two decimals.
func (t *text) seconds(d time.Duration) *text {
	hundredths := int64(d / (10 * time.Millisecond))
	t.num(hundredths / 100).str(".")
	if hundredths%100 < 10 {
		t.str("0")
	}
	return t.num(hundredths % 100)
}
