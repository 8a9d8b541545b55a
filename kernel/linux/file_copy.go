package linux

import (
	"io"
	"sync"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"
	"wick/kernel/mm"
	"wick/kernel/vfs"
)

// copyChunk is how many bytes go through the kernel at a time.
const copyChunk = 32 << 10

var copyChunks = sync.Pool{New: func() any { return new([copyChunk]byte) }}

// position is where a copy reads or writes: at an offset that the program named by its address, or at
// the position of the open file.
type position struct {
	file *vfs.OpenFile
	addr uint64 // 0: the file's own position
	off  int64
}

// position reads the offset at addr.
func (c *Call) position(o *vfs.OpenFile, addr uint64) (position, error) {
	p := position{file: o, addr: addr}
	if addr != 0 {
		v, err := c.Space.Uint64(addr)
		if err != nil {
			return p, err
		}
		p.off = int64(v)
		if p.off < 0 {
			return p, unix.EINVAL
		}
	} else if o.HasPosition() {
		off, err := o.Seek(0, io.SeekCurrent)
		if err != nil {
			return p, err
		}
		p.off = off
	}
	return p, nil
}

// takesNoCopies tells whether nothing is copied to a file in the kernel: a write to an eventfd is a number, not bytes.
func takesNoCopies(o *vfs.OpenFile) bool {
	_, is := o.File().(*vfs.EventFD)
	return is
}

// store gives the offset after the copy back.
func (c *Call) store(p *position) error {
	if p.addr != 0 {
		return c.Space.PutUint64(p.addr, uint64(p.off))
	}
	if p.file.HasPosition() {
		_, err := p.file.Seek(p.off, io.SeekStart)
		return err
	}
	return nil
}

func (c *Call) sendfile() (uint64, error) {
	out, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer out.Release()
	in, err := c.file(c.Args[1])
	if err != nil {
		return 0, err
	}
	defer in.Release()
	n := int64(min(c.Args[3], mm.MaxTransfer))
	switch {
	case !in.Readable() || !out.Writable():
		return 0, unix.EBADF
	case int64(c.Args[3]) < 0 || !in.HasPosition() || takesNoCopies(out):
		return 0, unix.EINVAL
	case out.Flags()&unix.O_APPEND != 0:
		return 0, unix.EINVAL
	}
	from, err := c.position(in, c.Args[2])
	if err != nil {
		return 0, err
	}
	total, err := c.copyOut(out, n, func(p []byte) (int, error) {
		b := vfs.Bytes(p)
		got, err := in.ReadAt(&b, from.off)
		return int(got), err
	}, func(written int) { from.off += int64(written) })
	if serr := c.store(&from); serr != nil && err == nil {
		err = serr
	}
	if total > 0 {
		return uint64(total), nil
	}
	return 0, err
}

// copyOut writes to out, at its position, up to n bytes that read gives, and tells taken how many of them have been
// written: what read gave and out could not take is read again. A signal ends it, with fewer bytes.
func (c *Call) copyOut(out *vfs.OpenFile, n int64, read func(p []byte) (int, error), taken func(n int)) (total int64, err error) {
	chunk := copyChunks.Get().(*[copyChunk]byte)
	defer copyChunks.Put(chunk)
	for total < n {
		var got int
		got, err = read(chunk[:min(n-total, copyChunk)])
		if err != nil || got == 0 {
			break
		}
		var written int
		written, err = c.writeBytes(out, chunk[:got])
		taken(written)
		total += int64(written)
		if err != nil || written < got || c.Thread.Wanted() {
			break
		}
	}
	return total, err
}

// writeBytes is writeFile for bytes of the kernel.
func (c *Call) writeBytes(o *vfs.OpenFile, p []byte) (total int, err error) {
	try := func() error {
		for {
			b := vfs.Bytes(p[total:])
			n, err := o.Write(&b)
			total += int(n)
			if err != nil || n == 0 || total == len(p) {
				return err
			}
		}
	}
	err = try()
	if err == unix.EAGAIN && !o.Nonblock() {
		limit := sendTimeout(o)
		err = waitError(vfs.Wait(c.Thread, o.File(), waiter.WritableEvents, c.until(limit), try), limit)
	}
	if err == unix.EPIPE {
		c.brokenPipe(o, uint64(total))
	}
	return total, err
}

// copyFileRange is copy_file_range(2): fd_in, off_in, fd_out, off_out, len, flags.
func (c *Call) copyFileRange() (uint64, error) {
	if c.Args[5] != 0 {
		return 0, unix.EINVAL
	}
	in, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer in.Release()
	out, err := c.file(c.Args[2])
	if err != nil {
		return 0, err
	}
	defer out.Release()
	from, err := c.position(in, c.Args[1])
	if err != nil {
		return 0, err
	}
	to, err := c.position(out, c.Args[3])
	if err != nil {
		return 0, err
	}
	n, err := checkCopyRange(&from, &to, int64(min(c.Args[4], mm.MaxTransfer)))
	if err != nil {
		return 0, err
	}
	chunk := copyChunks.Get().(*[copyChunk]byte)
	defer copyChunks.Put(chunk)
	total := int64(0)
	for total < n && err == nil && (total == 0 || !c.Thread.Wanted()) {
		b := vfs.Bytes(chunk[:min(n-total, copyChunk)])
		var got, put int64
		got, err = in.ReadAt(&b, from.off)
		if err != nil || got == 0 {
			break
		}
		b = vfs.Bytes(chunk[:got])
		put, err = out.WriteAt(&b, to.off)
		from.off += put
		to.off += put
		total += put
		if put < got {
			break
		}
	}
	for _, p := range []*position{&from, &to} {
		if serr := c.store(p); serr != nil && err == nil {
			err = serr
		}
	}
	if total > 0 {
		return uint64(total), nil
	}
	return 0, err
}

// checkCopyRange makes the checks of generic_copy_file_checks. It returns n, within one file no more than the bytes that are there.
func checkCopyRange(from, to *position, n int64) (int64, error) {
	var size int64 // of from, the last one
	for _, p := range []*position{to, from} {
		st, err := p.file.File().Stat()
		switch {
		case err != nil:
			return 0, err
		case st.Mode&unix.S_IFMT == unix.S_IFDIR:
			return 0, unix.EISDIR
		case st.Mode&unix.S_IFMT != unix.S_IFREG:
			return 0, unix.EINVAL
		}
		size = st.Size
	}
	if !from.file.Readable() || !to.file.Writable() || to.file.Flags()&unix.O_APPEND != 0 {
		return 0, unix.EBADF
	}
	a, aok := from.file.File().(vfs.NodeHolder)
	b, bok := to.file.File().(vfs.NodeHolder)
	if !aok || !bok || a.Node() != b.Node() {
		return n, nil
	}
	n = min(n, max(size-from.off, 0))
	if from.off < to.off+n && to.off < from.off+n {
		return 0, unix.EINVAL // they overlap
	}
	return n, nil
}

// Flags of splice(2); SPLICE_F_MOVE and SPLICE_F_MORE are hints.
const spliceKnown = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MORE | unix.SPLICE_F_GIFT

// splice is splice(2): fd_in, off_in, fd_out, off_out, len, flags. One of the files must be a pipe. The bytes are
// copied; what the call saves the program is a copy to its memory and back.
func (c *Call) splice() (uint64, error) {
	if c.Args[4] == 0 {
		return 0, nil
	}
	flags := uint32(c.Args[5])
	if flags&^spliceKnown != 0 {
		return 0, unix.EINVAL
	}
	in, err := c.file(c.Args[0])
	if err != nil {
		return 0, err
	}
	defer in.Release()
	out, err := c.file(c.Args[2])
	if err != nil {
		return 0, err
	}
	defer out.Release()
	if !in.Readable() || !out.Writable() {
		return 0, unix.EBADF
	}
	n := int(min(c.Args[4], copyChunk))
	nonblock := flags&unix.SPLICE_F_NONBLOCK != 0
	from, fromPipe := vfs.PipeOf(in.File())
	to, toPipe := vfs.PipeOf(out.File())
	switch {
	case fromPipe && c.Args[1] != 0, toPipe && c.Args[3] != 0:
		return 0, unix.ESPIPE
	case fromPipe && toPipe && from.SamePipe(to):
		return 0, unix.EINVAL
	case fromPipe:
		return c.spliceFrom(from, in, out, n, nonblock)
	case toPipe:
		return c.spliceTo(in, to, out, n, nonblock)
	}
	return 0, unix.EINVAL
}

// spliceFrom moves bytes out of a pipe.
func (c *Call) spliceFrom(pipe *vfs.PipeEnd, in, out *vfs.OpenFile, n int, nonblock bool) (uint64, error) {
	to, err := c.position(out, c.Args[3])
	switch {
	case err != nil:
		return 0, err
	case c.Args[3] != 0 && !out.HasPosition():
		return 0, unix.ESPIPE
	case out.Flags()&unix.O_APPEND != 0 || takesNoCopies(out):
		return 0, unix.EINVAL
	}
	chunk := copyChunks.Get().(*[copyChunk]byte)
	defer copyChunks.Put(chunk)
	got := 0
	look := func() (err error) {
		got, err = pipe.Peek(chunk[:n])
		return err
	}
	err = look()
	if err == unix.EAGAIN && !nonblock && !in.Nonblock() {
		err = vfs.Wait(c.Thread, pipe, waiter.ReadableEvents, c.until(0), look)
	}
	if err != nil || got == 0 {
		return 0, err
	}
	written := 0
	if out.HasPosition() {
		b := vfs.Bytes(chunk[:got])
		var put int64
		put, err = out.WriteAt(&b, to.off)
		written = int(put)
		to.off += put
		if serr := c.store(&to); serr != nil && err == nil {
			err = serr
		}
	} else {
		written, err = c.writeBytes(out, chunk[:got])
	}
	pipe.Discard(written)
	if written > 0 {
		return uint64(written), nil
	}
	return 0, err
}

// spliceTo moves bytes into a pipe. It reads no more than there is room for, and waits for room first.
func (c *Call) spliceTo(in *vfs.OpenFile, pipe *vfs.PipeEnd, out *vfs.OpenFile, n int, nonblock bool) (uint64, error) {
	from, err := c.position(in, c.Args[1])
	switch {
	case err != nil:
		return 0, err
	case c.Args[1] != 0 && !in.HasPosition():
		return 0, unix.ESPIPE
	}
	room := 0
	look := func() (err error) {
		room, err = pipe.Room()
		return err
	}
	err = look()
	if err == unix.EAGAIN && !nonblock && !out.Nonblock() {
		err = vfs.Wait(c.Thread, pipe, waiter.WritableEvents, c.until(0), look)
	}
	if err == unix.EPIPE {
		c.brokenPipe(out, 0)
	}
	if err != nil {
		return 0, err
	}
	chunk := copyChunks.Get().(*[copyChunk]byte)
	defer copyChunks.Put(chunk)
	got, err := c.readBytes(in, &from, chunk[:min(n, room)])
	if err != nil || got == 0 {
		return 0, err
	}
	// Another writer may have taken the room in the meantime; the bytes are read, so they must go in.
	written := 0
	for written < got {
		var m int
		m, err = c.writeBytes(out, chunk[written:got])
		written += m
		if err == unix.EAGAIN {
			err = vfs.Wait(c.Thread, pipe, waiter.WritableEvents, c.until(0), func() error {
				_, err := pipe.Room()
				return err
			})
		}
		if err != nil {
			break
		}
	}
	if written > 0 {
		return uint64(written), nil
	}
	return 0, err
}

// readBytes is readFile for bytes of the kernel. It moves the position.
func (c *Call) readBytes(o *vfs.OpenFile, from *position, p []byte) (int, error) {
	if o.HasPosition() {
		b := vfs.Bytes(p)
		n, err := o.ReadAt(&b, from.off)
		from.off += n
		if serr := c.store(from); serr != nil && err == nil {
			err = serr
		}
		return int(n), err
	}
	n := int64(0)
	try := func() (err error) {
		b := vfs.Bytes(p)
		n, err = o.Read(&b)
		return err
	}
	err := try()
	if err == unix.EAGAIN && !o.Nonblock() {
		limit := recvTimeout(o)
		err = waitError(vfs.Wait(c.Thread, o.File(), waiter.ReadableEvents, c.until(limit), try), limit)
	}
	return int(n), err
}
