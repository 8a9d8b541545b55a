package linux

import (
	"bytes"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"wick/kernel/task"
	"wick/kernel/vfs"
)

const (
	maxInterpreters = 5         // of scripts that are interpreters of scripts
	scriptLine      = 256       // bytes of a file that are looked at for a script (BINPRM_BUF_SIZE)
	maxArgs         = 128 << 10 // bytes of one argument (MAX_ARG_STRLEN)
)

// execve is execve(2) and execveat(2).
func (c *Call) execve(dirfd, pathAt, argvAt, envpAt uint64, flags uint32) (uint64, error) {
	if flags&^(unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW) != 0 {
		return 0, unix.EINVAL
	}
	name, err := c.path(pathAt)
	if err != nil {
		return 0, err
	}
	program, err := c.loadProgram(dirfd, name, argvAt, envpAt, flags)
	if err != nil {
		return 0, err
	}
	return 0, c.become(program)
}

// loaded is a program that the process can go on with.
type loaded struct {
	task.Options // Space, Regs and Name

	file  vfs.File
	close func()
	path  string
	argv  []string
	envp  []string
}

// loadProgram reads the arguments and loads the program into a space of its own. One program is loaded at a time, so that
// arguments take no more of the kernel's memory than those of one may.
func (c *Call) loadProgram(dirfd uint64, name string, argvAt, envpAt uint64, flags uint32) (*loaded, error) {
	c.Kernel.loading.Lock()
	defer c.Kernel.loading.Unlock()
	limits := c.spaceLimits()
	room := c.argumentRoom(limits.Stack)
	argv, size, err := c.strings(argvAt, room)
	if err != nil {
		return nil, err
	}
	envp, _, err := c.strings(envpAt, room-size)
	if err != nil {
		return nil, err
	}
	if len(argv) == 0 {
		argv = []string{""} // as Linux does since 5.18
	}
	image, given, err := c.openProgram(dirfd, name, flags)
	if err != nil {
		return nil, err
	}
	p := &loaded{argv: argv, envp: envp}
	defer func() {
		if p.close == nil {
			image.close()
		}
	}()
	for n := 0; ; n++ {
		line, ok := image.interpreter()
		if !ok {
			break
		}
		if n == maxInterpreters {
			return nil, unix.ELOOP
		}
		if line == nil {
			return nil, unix.ENOEXEC
		}
		p.argv = append(append(line, given), p.argv[1:]...)
		given = line[0]
		next, _, err := c.openProgram(atCwd, given, 0)
		if err != nil {
			return nil, err
		}
		image.close()
		image = next
	}
	if p.Space, err = c.Space.Sibling(limits); err != nil {
		return nil, unix.ENOMEM
	}
	if p.Regs, err = c.loadImage(p.Space, image.Image, p.argv, p.envp); err != nil {
		p.Space.Release()
		return nil, err
	}
	p.Name, p.path, p.file, p.close = path.Base(name), image.Path, image.file, image.close
	return p, nil
}

// argumentRoom is how many bytes arguments and environment may take: a quarter of the stack, but neither more than 6 MiB, as
// with Linux, nor a larger part of the machine's memory than it can spare.
func (c *Call) argumentRoom(stack uint64) uint64 {
	room := min(stack/4, 6<<20)
	if c.Kernel.Memory != nil {
		total, _ := c.Kernel.Memory()
		room = min(room, max(total/64, maxArgs))
	}
	return room
}

// strings reads an array of strings that ends with a null pointer, as far as limit allows; size is what they take of it.
func (c *Call) strings(addr, limit uint64) (list []string, size uint64, err error) {
	if addr == 0 {
		return nil, 0, nil
	}
	for ; ; addr += 8 {
		at, err := c.Space.Uint64(addr)
		if err != nil {
			return nil, 0, err
		}
		if at == 0 {
			return list, size, nil
		}
		s, err := c.Space.CopyInString(at, maxArgs)
		if err == unix.ENAMETOOLONG {
			err = unix.E2BIG
		}
		if err != nil {
			return nil, 0, err
		}
		list = append(list, s)
		if size += uint64(len(s)) + 1 + 8; size > limit {
			return nil, 0, unix.E2BIG
		}
	}
}

// programImage is a program's file while it is being loaded.
type programImage struct {
	task.Image
	file  vfs.File
	close func()
}

// openProgram opens a file that is to be executed. given is the path by which a script's interpreter finds it.
func (c *Call) openProgram(dirfd uint64, name string, flags uint32) (image programImage, given string, err error) {
	var o *vfs.OpenFile
	if name == "" && flags&unix.AT_EMPTY_PATH != 0 {
		if o, err = c.FDs.Get(int(int32(dirfd))); err != nil {
			return image, "", err
		}
		given = "/dev/fd/" + strconv.Itoa(int(int32(dirfd)))
		if on, err := c.FDs.CloseOnExec(int(int32(dirfd))); err == nil && on {
			given = "" // it will be closed: execveat(2), BUGS
		}
		if o.Flags()&unix.O_PATH != 0 {
			given, name = "/proc/self/fd/"+strconv.Itoa(int(int32(dirfd))), given
			o.Release()
			if o, err = c.Paths.Open(nil, given, unix.O_RDONLY|vfs.ForExec, 0); err != nil {
				return image, "", err
			}
			given = name
		}
	} else {
		at, err := c.startAt(dirfd, name)
		if err != nil {
			return image, "", err
		}
		open := uint32(unix.O_RDONLY | vfs.ForExec)
		if flags&unix.AT_SYMLINK_NOFOLLOW != 0 {
			open |= unix.O_NOFOLLOW
		}
		if o, err = c.Paths.Open(at, name, open, 0); err != nil {
			return image, "", err
		}
		given = name
		if at != nil {
			given = "/dev/fd/" + strconv.Itoa(int(int32(dirfd))) + "/" + name
		}
	}
	st, err := o.File().Stat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = unix.EACCES
	}
	if err == nil {
		err = vfs.Access(c.who(), vfs.NodeOf(o.File()), unix.X_OK)
	}
	if err == nil {
		image.Image, err = imageOf(o, name)
	}
	if err != nil {
		o.Release()
		return image, "", err
	}
	image.file, image.close = o.File(), o.Release
	return image, given, nil
}

// interpreter returns what the first line of a script says: the interpreter's path and, if there is one, its argument. ok is
// false if the file is no script; nil stands for a script that names none.
func (p *programImage) interpreter() (line []string, ok bool) {
	var b [scriptLine]byte
	n, _ := p.File.ReadAt(b[:], 0)
	text, ok := bytes.CutPrefix(b[:min(n, int(p.Size))], []byte("#!"))
	if !ok {
		return nil, false
	}
	first, _, ended := bytes.Cut(text, []byte("\n"))
	first = bytes.Trim(first, " \t\x00")
	name, argument, more := first, []byte(nil), false
	if i := bytes.IndexAny(first, " \t"); i >= 0 {
		name, argument, more = first[:i], bytes.Trim(first[i:], " \t"), true
	}
	if len(name) == 0 || !ended && !more && int64(len(text)+2) < p.Size {
		return nil, true // nothing, or a name that is longer than what is looked at
	}
	if len(argument) == 0 {
		return []string{string(name)}, true
	}
	return []string{string(name), string(argument)}, true
}

// become has the process go on with the program.
func (c *Call) become(p *loaded) error {
	defer p.close()
	if err := c.Thread.BecomeOnly(); err != nil {
		p.Space.Release()
		return err
	}
	c.FDs.CloseMarked()
	c.endExecution()
	c.execute(p.file)
	c.barriers.Store(0)
	c.executeAs()
	c.setProgram(&running{path: p.path, args: told(p.argv), env: told(p.envp), auxv: auxv(p.Space, p.Regs.SP)})
	c.Thread.Exec(p.Options)
	return nil
}

// maxTold is how many bytes of arguments, and of the environment, are kept for /proc/PID.
const maxTold = 4096

// told returns the first strings, as many as /proc/PID tells, as copies of their own.
//
// DEVIATION: Linux tells all, and what the program has made of them since.
func told(list []string) (kept []string) {
	size := 0
	for _, s := range list {
		if size += len(s) + 1; size > maxTold {
			break
		}
		kept = append(kept, strings.Clone(s))
	}
	return kept
}
