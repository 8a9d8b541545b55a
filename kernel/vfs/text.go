package vfs

import (
	"math"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// text builds the generated files without package fmt.
type text []byte

func (t *text) str(parts ...string) *text {
	for _, s := range parts {
		*t = append(*t, s...)
	}
	return t
}

func (t *text) num(n int64) *text {
	*t = strconv.AppendInt(*t, n, 10)
	return t
}

// hex appends n in hexadecimal, width digits at least.
func (t *text) hex(n uint64, width int) *text {
	digits := 1
	for v := n >> 4; v != 0; v >>= 4 {
		digits++
	}
	for ; digits < width; digits++ {
		*t = append(*t, '0')
	}
	*t = strconv.AppendUint(*t, n, 16)
	return t
}

// line appends "name<tab>n suffix" as in /proc/self/status.
func (t *text) line(name string, n int64, suffix string) *text {
	return t.str(name, "\t").num(n).str(suffix, "\n")
}

// kilobytes appends a line of /proc/meminfo or /proc/self/status: the number right-aligned to width.
func (t *text) kilobytes(name string, bytes uint64, width int) *text {
	n := strconv.FormatUint(bytes/1024, 10)
	t.str(name)
	for range max(0, width-len(n)) {
		*t = append(*t, ' ')
	}
	return t.str(n, " kB\n")
}

// textFile is an open generated file: what it said when it was opened, or when it was read from the start after that. Programs that
// watch something keep its file open, and read it once more.
type textFile struct {
	alwaysReady
	opened
	generate func() ([]byte, error) // fixed; nil: it goes on saying what it did

	mu   sync.Mutex
	data []byte // guarded by mu; the bytes never change
	read bool   // guarded by mu: from the start
}

// Close gives the text up.
func (f *textFile) Close() error {
	f.node.fs.memory.text.give(int64(len(f.data)))
	return nil
}

// renewLocked makes the text anew. Only one is made at a time: it may be long, and makes as much garbage.
func (f *textFile) renewLocked(generate func() ([]byte, error)) error {
	fs := f.node.fs
	fs.generating.Lock()
	defer fs.generating.Unlock()
	if fs.options.Relieve != nil {
		fs.options.Relieve()
	}
	data, err := generate()
	if err != nil {
		return err
	}
	return f.setLocked(data)
}

// setLocked replaces the text.
func (f *textFile) setLocked(data []byte) error {
	if !f.node.fs.memory.text.take(int64(len(data))) {
		return unix.ENOMEM
	}
	f.node.fs.memory.text.give(int64(len(f.data)))
	f.data = data
	return nil
}

// textAt returns the text for a read at off.
func (f *textFile) textAt(off int64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off > 0 {
		return f.data, nil
	}
	if f.read && f.generate != nil {
		if err := f.renewLocked(f.generate); err != nil {
			return nil, err
		}
	}
	f.read = true
	return f.data, nil
}

// Read implements File.
func (f *textFile) Read(dst Dst, off int64) (int64, error) {
	data, err := f.textAt(off)
	if err != nil || off >= int64(len(data)) {
		return 0, err
	}
	piece := data[off:]
	n, err := dst.Write(piece[:min(len(piece), dst.Len())])
	if n > 0 {
		err = nil
	}
	return int64(n), err
}

// Write implements File.
func (f *textFile) Write(Src, int64) (int64, error) { return 0, unix.EINVAL }

// Size implements Sizer. Only lseek asks; stat(2) says 0, as of all generated files.
func (f *textFile) Size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.data)), nil
}

// Truncate implements Sizer.
func (f *textFile) Truncate(int64) error { return unix.EPERM }

// newText makes a generated file. generate runs at each open, and whenever it is read from the start again; it may return an error.
func (fs *FS) newText(dev uint64, generate func(p *Paths) ([]byte, error)) *Special {
	return fs.newGenerated(dev, generate, true)
}

// newGenerated is newText; unless again is set, generate runs at each open only.
func (fs *FS) newGenerated(dev uint64, generate func(p *Paths) ([]byte, error), again bool) *Special {
	return fs.newSpecial(dev, unix.S_IFREG|0o444, func(o *opening) (File, error) {
		if o.flags&unix.O_ACCMODE != unix.O_RDONLY {
			return nil, unix.EACCES
		}
		f := &textFile{opened: o.file()}
		text := func() ([]byte, error) { return generate(o.paths) }
		f.mu.Lock()
		defer f.mu.Unlock()
		if err := f.renewLocked(text); err != nil {
			return nil, err
		}
		if again {
			f.generate = text
		}
		return f, nil
	})
}

// fixedText makes a generated file that always says the same.
func (fs *FS) fixedText(dev uint64, s string) *Special {
	return fs.newGenerated(dev, func(*Paths) ([]byte, error) { return []byte(s), nil }, false)
}

// tree adds generated files by their paths below a directory, making the directories on the way.
type tree struct {
	fs  *FS
	dir *Dir
	dev uint64
}

// add puts a node at a path.
func (t tree) add(path string, n Node) {
	d := t.dir
	for i := 0; i < len(path); i++ {
		if path[i] != '/' {
			continue
		}
		name := path[:i]
		path, i = path[i+1:], -1
		sub, ok := d.lookupLocked(nil, name).(*Dir)
		if !ok {
			sub = t.fs.newDir(t.dev, 0o555)
			sub.fixed = true
			d.addLocked(name, sub)
		}
		d = sub
	}
	d.addLocked(path, n)
}

// fixed puts a file that always says the same at a path.
func (t tree) fixed(path, contents string) { t.add(path, t.fs.fixedText(t.dev, contents)) }

// generated puts a file that is generated at each open at a path.
func (t tree) generated(path string, generate func() []byte) {
	t.add(path, t.fs.newText(t.dev, func(*Paths) ([]byte, error) { return generate(), nil }))
}

// parseNumber reads a decimal number as the kernel writes the names of /proc: no sign, no leading zero.
func parseNumber(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' || n > (math.MaxInt32-9)/10 || i > 0 && n == 0 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, len(s) > 0
}
