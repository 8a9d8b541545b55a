package guest

import (
	"bytes"
	"fmt"
	"path"
)

// archive is an initial RAM disk for Linux in the format newc of cpio [Linux, driver-api/early-userspace/buffer-format].
type archive struct {
	bytes.Buffer
	inode   int
	folders map[string]bool
}

// Types of files, the upper bits of their modes [inode(7)].
const (
	modeFolder  = 0o040000
	modeRegular = 0o100000
	modeDevice  = 0o020000 // character device
)

// file adds a regular file, and the folders it lies in.
func (a *archive) file(name string, perm int, data []byte) {
	a.folder(path.Dir(name))
	a.entry(name, modeRegular|perm, 0, 0, data)
}

// device adds a character device, and the folders it lies in.
func (a *archive) device(name string, major, minor int) {
	a.folder(path.Dir(name))
	a.entry(name, modeDevice|0o666, major, minor, nil)
}

func (a *archive) folder(name string) {
	if name == "." || a.folders[name] {
		return
	}
	a.folder(path.Dir(name))
	if a.folders == nil {
		a.folders = make(map[string]bool)
	}
	a.folders[name] = true
	a.entry(name, modeFolder|0o755, 0, 0, nil)
}

// end adds the entry that ends an archive.
func (a *archive) end() { a.entry("TRAILER!!!", 0, 0, 0, nil) }

// entry adds one file. The fields of the header: magic, inode, mode, owner, group, links, time, size, device of the file
// (two), device it stands for (two), length of the name with its NUL, checksum (none). Name and data are padded to 4 bytes.
func (a *archive) entry(name string, mode, major, minor int, data []byte) {
	a.inode++
	fmt.Fprintf(a, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0)
	a.WriteString(name)
	a.WriteByte(0)
	a.pad()
	a.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.Len()%4 != 0 {
		a.WriteByte(0)
	}
}
