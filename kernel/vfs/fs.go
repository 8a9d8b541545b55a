package vfs

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/mm"
)

// defaultMaxBytes is Options.MaxBytes of a machine whose memory isn't known.
const defaultMaxBytes = 64 << 20

// Options say what the file systems show of the machine.
type Options struct {
	MaxBytes int64  // that programs may write to the root file system; 0: half of the memory
	MaxNames int64  // that it may have; 0: by the size of the memory
	Frames   Frames // where pages come from; nil: the heap
	Relieve  func() // called before what may take much of the kernel's memory for a moment; may be nil

	HostName string
	Address  string // of the host name in /etc/hosts, with or without a prefix length; may be empty
	DNS      string // address of the name server in /etc/resolv.conf; may be empty

	CPUs    int                              // 0: 1
	Memory  func() (total, free uint64)      // of the machine, in bytes; may be nil
	Idle    func() time.Duration             // of all CPUs together since the start; may be nil
	CPUInfo func() []byte                    // /proc/cpuinfo; nil: a plain one is made
	Console Console                          // the host's ends of the program's descriptors; nil: they lead nowhere
	NetFile func(name string) func() []byte  // makes the contents of /proc/net/name, nil if there is none; may be nil
	CID     func() uint32                    // of the machine, which /dev/vsock tells; may be nil: there is no such device
	Log     func(format string, args ...any) // kernel log, for what is written to /dev/kmsg; may be nil
}

// FS is the tree of file systems: the tmpfs root filled from the initial file system, /dev, /proc, /sys.
type FS struct {
	options Options
	started time.Time
	console *console
	maxFDs  int // descriptors of a process

	lastInode atomic.Uint64

	memory memory
	pages  counter // pages in use by files
	names  counter // names in the root file system, and the texts of long symbolic links

	inotify   inotifies
	processes atomic.Pointer[Processes] // what /proc tells of; nil: nobody has said

	generating sync.Mutex // held while a text is made; after that of its file

	mu   sync.RWMutex // guards the tree: names, parents, entries
	root *Dir
	dev  *Dir // what /dev is at the start
}

// NewFS makes the tree. files are the initial files, parents before their children, whose data are at base
// plus their Offset in physical memory (base 0: nowhere, they can't be mapped in place). The
// directories and files that every program expects are added where files has none.
func NewFS(files []bundle.File, base mm.PhysAddr, o Options) (*FS, error) {
	total := uint64(0)
	if o.Memory != nil {
		total, _ = o.Memory()
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultMaxBytes
		if total != 0 {
			o.MaxBytes = int64(total / 2)
		}
	}
	if o.MaxNames == 0 {
		o.MaxNames = objects(total)
	}
	o.CPUs = max(o.CPUs, 1)
	if o.HostName == "" {
		o.HostName = "wick"
	}
	fs := &FS{options: o, started: time.Now()}
	fs.pages.limit, fs.names.limit = o.MaxBytes/pageSize, o.MaxNames
	fs.memory.frames, fs.memory.watches.limit = o.Frames, objects(total)
	fs.inotify.watches.limit, fs.inotify.kept.limit = objects(total), objects(total)
	fs.memory.text.limit = max(int64(total/textShare), minText)
	fs.maxFDs = int(objects(total))
	fs.console = newConsole(o.Console)
	fs.root = fs.newDir(devRoot, 0o755)
	fs.root.parent = fs.root
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for i := range files {
		if err := fs.addInitialLocked(&files[i], base); err != nil {
			return nil, err
		}
	}
	if err := fs.addEtcLocked(); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name string
		make func() *Dir
	}{{"dev", fs.newDev}, {"proc", fs.newProc}, {"sys", fs.newSys}} {
		d := m.make()
		d.mount = true
		if m.name == "dev" {
			fs.dev = d
		}
		if _, ok := fs.root.entries[m.name]; ok {
			fs.root.dropLocked(m.name) // hidden, as below a mount
		}
		fs.root.addLocked(m.name, d)
	}
	return fs, nil
}

// addInitialLocked adds one file of the initial file system.
func (fs *FS) addInitialLocked(file *bundle.File, base mm.PhysAddr) error {
	dir, name, err := fs.parentLocked(file.Path)
	if err != nil {
		return err
	}
	perm := file.Mode & bundle.ModePermBits
	switch {
	case file.IsDir():
		d, err := fs.newTmpDir(perm)
		if err != nil {
			return err
		}
		dir.addLocked(name, d)
	case file.IsSymlink():
		s, err := fs.newSymlink(file.Link)
		if err != nil {
			return err
		}
		dir.addLocked(name, s)
	default:
		if err := fs.takeName(); err != nil {
			return err
		}
		f := fs.newRegular(perm)
		var frames mm.PhysAddr
		if base != 0 {
			frames = base + mm.PhysAddr(file.Offset)
		}
		f.setInitial(file.Data, frames, file.ModTime)
		dir.addLocked(name, f)
	}
	return nil
}

// parentLocked finds the directory of a new file, by a clean absolute path.
func (fs *FS) parentLocked(path string) (*Dir, string, error) {
	l, err := fs.NewPaths().walk(fs.root, path, parentOnly)
	switch {
	case err != nil:
		return nil, "", err
	case l.node != nil || l.name == "":
		return nil, "", unix.EEXIST
	}
	return l.dir, l.name, nil
}

// takeName counts a new name of the root file system: unix.ENOSPC if there are too many. As in Linux's
// tmpfs, further names of a file count like files.
func (fs *FS) takeName() error {
	if !fs.names.take(1) {
		return unix.ENOSPC
	}
	return nil
}

// linkText is how many names the text of a symbolic link counts for, beside its own.
func linkText(target string) int64 { return int64(len(target) / 512) }

// newTmpDir makes a directory of the root file system, and counts its name.
func (fs *FS) newTmpDir(perm uint32) (*Dir, error) {
	if err := fs.takeName(); err != nil {
		return nil, err
	}
	return fs.newDir(devRoot, perm), nil
}

// newSymlink makes a symbolic link of the root file system, and counts its name.
func (fs *FS) newSymlink(target string) (*Symlink, error) {
	if !fs.names.take(1 + linkText(target)) {
		return nil, unix.ENOSPC
	}
	return fs.fixedLink(devRoot, target), nil
}

// File system types, statfs(2).
const (
	tmpfsMagic = 0x01021994
	procMagic  = 0x9fa0
	sysfsMagic = 0x62656572
	pipeMagic  = 0x50495045
	anonMagic  = 0x09041934
)

// Statfs describes the file system that a file with these attributes is in.
func (fs *FS) Statfs(st *unix.Stat_t) unix.Statfs_t {
	s := unix.Statfs_t{Bsize: blockSize, Frsize: blockSize, Namelen: nameMax, Flags: 0x20 /* ST_VALID */}
	switch st.Dev {
	case devRoot:
		s.Type = tmpfsMagic
		s.Blocks = uint64(fs.options.MaxBytes / pageSize)
		s.Bfree = uint64(fs.pages.left())
		s.Bavail = s.Bfree
		s.Files = uint64(fs.options.MaxNames)
		s.Ffree = uint64(fs.names.left())
	case devProc:
		s.Type = procMagic
	case devSys:
		s.Type = sysfsMagic
	default:
		s.Type = anonMagic
		if st.Mode&unix.S_IFMT == unix.S_IFIFO {
			s.Type = pipeMagic
		}
	}
	return s
}
