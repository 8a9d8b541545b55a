package ground

// The few files that the runtime's netpoller needs: eventfds, one epoll set, and interrupt files.

const (
	fileNone = iota
	fileEventfd
	fileInterrupt
	fileEpoll
)

// maxFiles bounds the descriptors; 0–2 are the console.
const maxFiles = 32

type file struct {
	kind  uint64
	line  uint64 // of an interrupt file; maxLines and up: a message
	count uint64 // of events not read yet

	watched uint64 // in the epoll set
	events  uint64 // as given to epoll_ctl
	data    uint64
	ready   uint64 // edge-triggered: an event since the last epoll_pwait
}

// filesLock guards files, and makes looking for events and waiting for them one step.
var filesLock spinlock

var (
	files   [maxFiles]file
	topFile uint64 = 3 // behind the highest descriptor that has been used
)

func fileAt(fd uint64) *file { return &files[fd%maxFiles] }

// openFile returns the descriptor of a new file, or -EMFILE.
func openFile(kind, line uint64) uint64 {
	filesLock.lock()
	result := negErrno(emfile)
	for fd := uint64(3); fd < maxFiles; fd++ {
		if f := fileAt(fd); f.kind == fileNone {
			*f = file{kind: kind, line: line}
			topFile = max(topFile, fd+1)
			result = fd
			break
		}
	}
	filesLock.unlock()
	return result
}

func closeFile(fd uint64) uint64 {
	filesLock.lock()
	f := fileAt(fd)
	open := fd < maxFiles && f.kind != fileNone
	if open {
		*f = file{}
	}
	filesLock.unlock()
	if !open {
		return negErrno(ebadf)
	}
	return 0
}

// openInterrupt opens the file of an interrupt: "/dev/irq/edge/N" and "/dev/irq/level/N" of line N, "/dev/irq/message/N" of
// message N, with N in decimal. Anything else doesn't exist.
func openInterrupt(path uint64) uint64 {
	const (
		edge    = "/dev/irq/edge/"
		level   = "/dev/irq/level/"
		message = "/dev/irq/message/"
	)
	switch {
	case hasPrefix(path, message):
		if n, ok := number(path + uint64(len(message))); ok && n < maxMessages {
			return openFile(fileInterrupt, maxLines+n)
		}
	case hasPrefix(path, edge):
		return openLineFile(path+uint64(len(edge)), false)
	case hasPrefix(path, level):
		return openLineFile(path+uint64(len(level)), true)
	}
	return negErrno(enoent)
}

func openLineFile(digits uint64, level bool) uint64 {
	line, ok := number(digits)
	if !ok || line >= maxLines {
		return negErrno(enoent)
	}
	fd := openFile(fileInterrupt, line)
	if fd < maxFiles && !openLine(line, level) {
		closeFile(fd)
		return negErrno(enoent)
	}
	return fd
}

// hasPrefix tells whether the text at a begins with prefix.
func hasPrefix(a uint64, prefix string) bool {
	for i := 0; i < len(prefix); i++ {
		if *p8(a + uint64(i)) != prefix[i] {
			return false
		}
	}
	return true
}

// number reads the one or two decimal digits at a, behind which the text must end.
func number(a uint64) (n uint64, ok bool) {
	for digits := 0; *p8(a) != 0; digits++ {
		d := uint64(*p8(a)) - '0'
		if d > 9 || digits == 2 {
			return 0, false
		}
		n = n*10 + d
		ok = true
		a++
	}
	return n, ok
}

// readFile reads the event count of an eventfd or interrupt file: 8 bytes, as eventfd(2).
func readFile(fd, buf, size uint64) uint64 {
	f := fileAt(fd)
	if fd >= maxFiles || f.kind != fileEventfd && f.kind != fileInterrupt {
		return negErrno(ebadf)
	}
	if size < 8 {
		return negErrno(einval)
	}
	filesLock.lock()
	count := f.count
	f.count = 0
	filesLock.unlock()
	if count == 0 {
		return negErrno(eagain)
	}
	*p64(buf) = count
	return 8
}

// writeFile adds an event to an eventfd, unmasks a level-triggered line, or writes to the console.
func writeFile(c *cpu, fd, buf, size uint64) uint64 {
	f := fileAt(fd)
	switch {
	case fd == 1 || fd == 2:
		writeConsole(c, buf, size)
	case fd < maxFiles && f.kind == fileEventfd:
		fileEvent(c, f)
	case fd < maxFiles && f.kind == fileInterrupt:
		unmaskLine(f.line)
	default:
		return negErrno(ebadf)
	}
	return size
}

// interrupt delivers the interrupt of a line or message to its file. A level-triggered line stays masked until the file is
// written to.
func interrupt(c *cpu, line uint64) {
	for fd := uint64(3); fd < topFile; fd++ {
		if f := fileAt(fd); f.kind == fileInterrupt && f.line == line {
			fileEvent(c, f)
		}
	}
}

// fileEvent counts an event and wakes a thread that waits in epoll_pwait.
func fileEvent(c *cpu, f *file) {
	filesLock.lock()
	f.count++
	f.ready = 1
	if f.watched != 0 {
		if t := claimKind(stateEpoll); t != nil {
			t.ax = collectEvents(t.epollEvents, t.epollMaxEvents)
			wakeFirst(c, t)
		}
	}
	filesLock.unlock()
}

const (
	epollIn = 1
	epollET = 1 << 31

	epollCtlAdd = 1
	epollCtlDel = 2
	epollCtlMod = 3

	epollEventSize = 12 // struct epoll_event is packed on amd64
)

func epollCtl(op, fd, event uint64) uint64 {
	f := fileAt(fd)
	if fd >= maxFiles || f.kind != fileEventfd && f.kind != fileInterrupt {
		return negErrno(eperm)
	}
	result := uint64(0)
	filesLock.lock()
	switch op {
	case epollCtlAdd, epollCtlMod:
		f.watched = 1
		f.events = uint64(*p32(event))
		f.data = uint64(*p32(event + 4)) | uint64(*p32(event + 8))<<32
	case epollCtlDel:
		f.watched = 0
	default:
		result = negErrno(einval)
	}
	filesLock.unlock()
	return result
}

// collectEvents stores the events that are ready at buf and returns their number. The caller holds filesLock.
func collectEvents(buf, most uint64) uint64 {
	n := uint64(0)
	for fd := uint64(3); fd < topFile && n < most; fd++ {
		f := fileAt(fd)
		if f.watched == 0 || f.events&epollET != 0 && f.ready == 0 || f.count == 0 {
			continue
		}
		f.ready = 0
		e := buf + n*epollEventSize
		*p32(e) = epollIn
		*p32(e + 4) = uint32(f.data)
		*p32(e + 8) = uint32(f.data >> 32)
		n++
	}
	return n
}
