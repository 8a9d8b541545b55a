package vfs

import (
	"encoding/binary"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Device numbers (st_dev) of the file systems, as small as Linux's anonymous ones.
const (
	devRoot      = 1
	devAnonymous = 2 // pipes, eventfds, epolls
	devProc      = 3
	devSys       = 4
)

// anonymousInodes is the inode that eventfds, epolls and timerfds share, as on Linux.
const anonymousInodes = 1 << 32

// blockSize is st_blksize of everything, in bytes.
const blockSize = 4096

// anonymousStat is the stat of an object that is in no directory.
func anonymousStat(mode uint32, ino uint64) unix.Stat_t {
	return unix.Stat_t{Dev: devAnonymous, Ino: ino, Nlink: 1, Mode: mode, Blksize: blockSize}
}

// anonymousName is the text of a /proc/self/fd link to such an object, "pipe:[7]".
func anonymousName(kind string, ino uint64) string {
	return kind + ":[" + strconv.FormatUint(ino, 10) + "]"
}

func timespec(t time.Time) unix.Timespec {
	if t.IsZero() {
		return unix.Timespec{}
	}
	return unix.NsecToTimespec(t.UnixNano())
}

func copyOutInt32(mem Memory, va uint64, v int32) error {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(v))
	return mem.CopyOut(va, b[:])
}
