package mm

// Backing is the contents of a file that is mapped.
//
// Its methods are called with the space's lock held, and also while a file's Read or Write copies to
// or from user memory. So they must not wait for a lock that somebody holds while it copies. The
// contents should not change; a snapshot of the file will do, since mmap(2) leaves it open
// whether a private mapping sees later changes.
type Backing interface {
	// Frame returns the frame that holds the file's page at off, a multiple of PageSize, if it can
	// be mapped in place. The frame is mapped read-only, stays the property of the Backing, and must
	// never be freed while it is mapped. Bytes after the end of the file are zero.
	Frame(off int64) (pa PhysAddr, ok bool)

	// ReadAt is io.ReaderAt, for any part of the file: page faults ask it for what Frame doesn't have.
	// No byte at all then means that the page is beyond the end of the file (SIGBUS).
	ReadAt(p []byte, off int64) (n int, err error)
}

// source is a Backing together with what the areas that map it have in common. Areas are merged
// only if they have the same source.
type source struct {
	Backing
	name string
}
