package bundle

import (
	"strconv"
	"strings"
	"time"
)

// The layout of a bundle. All numbers are little-endian; "uvarint" is the variable-length encoding
// of encoding/binary.
//
//	 0        8         12    16             24           28          32      36    40
//	+--------+---------+-----+--------------+------------+-----------+-------+-----+
//	| magic  | version |  0  | total length | config len | table len | files | CRC |
//	+--------+---------+-----+--------------+------------+-----------+-------+-----+
//	| config records | file table | zeros up to a page |  data of a file, zeros up to a page | …
//
// The CRC (IEEE 802.3, as in hash/crc32) covers the header before it, the config records and the
// file table. File data is not covered: reading all of it would cost boot time, and the kernel
// touches only the pages that the program uses.
//
// A config record is a tag (uvarint), a length (uvarint) and that many bytes; see config_code.go.
//
// An entry of the file table is
//
//	path length (uvarint), path, mode (4 bytes), seconds (8), nanoseconds (4),
//	then, by the type of the file:
//	  directory      nothing
//	  symbolic link  target length (uvarint), target
//	  regular file   offset of the data in the bundle (8), its size (8)
//
// Paths are absolute, clean, in strictly ascending byte order, and each one's parent is a directory
// of the table (the root is implied), so that the files can be made in the order of the table.
// Data is in the order of the table too and never overlaps.
const (
	magic      = "wickBNDL"
	version    = 1
	headerSize = 40
	crcOffset  = 36 // where the checksum stands
)

// Limits of the format, in bytes but for MaxFiles. They keep a damaged length from costing memory.
const (
	PageSize = 4096     // file data starts on a multiple of it
	MaxMeta  = 64 << 20 // config records and file table, each
	MaxFiles = 1 << 20
	MaxPath  = 4095 // PATH_MAX without its NUL
	MaxName  = 255  // NAME_MAX, one component of a path
)

// File types and the mask that selects them, and the bits of the permissions: inode(7).
const (
	ModeType     = 0o170000
	ModeRegular  = 0o100000
	ModeDir      = 0o040000
	ModeSymlink  = 0o120000
	ModePermBits = 0o7777
)

// Bundle is a parsed bundle.
type Bundle struct {
	Config Config
	Files  []File // parents before their children
}

// File is a file, directory or symbolic link of the initial file system.
type File struct {
	Path    string // absolute and clean
	Mode    uint32 // type and permissions as in stat(2)'s st_mode
	ModTime time.Time
	Link    string // the target, of a symbolic link only

	// Data is the content of a regular file. Parse makes it a part of the bundle itself; its
	// capacity reaches to the end of its last page, and the bytes behind its length are zero if
	// Build wrote the bundle.
	Data []byte
	// Offset says where in the bundle Data starts: a multiple of PageSize, or 0 if Data is empty.
	// Set by Parse, ignored by Build.
	Offset uint64
}

// IsDir tells whether f is a directory.
func (f *File) IsDir() bool { return f.Mode&ModeType == ModeDir }

// IsSymlink tells whether f is a symbolic link.
func (f *File) IsSymlink() bool { return f.Mode&ModeType == ModeSymlink }

// IsRegular tells whether f is a regular file.
func (f *File) IsRegular() bool { return f.Mode&ModeType == ModeRegular }

// Error says what is wrong with a bundle.
type Error struct {
	What      string // the broken rule
	Path      string // the file it is about, if any
	Got, Want uint64 // numbers, if any: both 0 if there are none
}

// Error describes e in one line.
func (e *Error) Error() string {
	s := "bundle: " + e.What
	if e.Path != "" {
		s += " (" + strconv.Quote(e.Path) + ")"
	}
	if e.Got != 0 || e.Want != 0 {
		s += ": got " + strconv.FormatUint(e.Got, 10) + ", want " + strconv.FormatUint(e.Want, 10)
	}
	return s
}

// badPath says what is wrong with path, or "" if it is absolute, clean and not too long.
func badPath(path string) string {
	switch {
	case path == "" || path[0] != '/':
		return "a path is not absolute"
	case path == "/":
		return "the root directory is implied and can't be listed"
	case len(path) > MaxPath:
		return "a path is too long"
	case strings.IndexByte(path, 0) >= 0:
		return "a path holds a NUL"
	}
	for rest := path[1:]; ; {
		name, tail, more := strings.Cut(rest, "/")
		if name == "" || name == "." || name == ".." {
			return "a path is not clean"
		}
		if len(name) > MaxName {
			return "a component of a path is too long"
		}
		if !more {
			return ""
		}
		rest = tail
	}
}

// badLink says what is wrong with the target of a symbolic link, or "".
func badLink(target string) string {
	switch {
	case target == "" || len(target) > MaxPath:
		return "a link's target is empty or too long"
	case strings.IndexByte(target, 0) >= 0:
		return "a link's target holds a NUL"
	}
	return ""
}

// badMode says what is wrong with the mode of a file, or "".
func badMode(mode uint32) string {
	switch mode & ModeType {
	case ModeRegular, ModeDir, ModeSymlink:
	default:
		return "a file is neither regular nor a directory nor a symbolic link"
	}
	if mode&^(ModeType|ModePermBits) != 0 {
		return "a mode has unknown bits"
	}
	return ""
}

// parentOf returns the directory of a clean absolute path, "" for a file in the root.
func parentOf(path string) string { return path[:strings.LastIndexByte(path, '/')] }

// pageUp rounds n up to a multiple of PageSize. The caller has made sure that it does not overflow.
func pageUp(n uint64) uint64 { return (n + PageSize - 1) &^ (PageSize - 1) }
