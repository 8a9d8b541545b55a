package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"wick/bundle"
)

// fileSource is a value of --file: what is copied from the host into the machine, and where to.
type fileSource struct {
	host  string
	guest string // absolute and clean
}

// machineOwn are directories that the kernel mounts over what the initial file system has there.
var machineOwn = []string{"/dev", "/proc", "/sys"}

// parseFile reads HOST[:GUEST]. A relative GUEST is meant from the working directory; one that ends with a slash is the
// directory for HOST. Without GUEST a file keeps its name, so that the program finds it where it is found on the host.
func parseFile(s, workDir string) (fileSource, error) {
	host, guest, two := strings.Cut(s, ":")
	switch {
	case host == "":
		return fileSource{}, fmt.Errorf("%q names no file of the host", s)
	case two && guest == "":
		return fileSource{}, fmt.Errorf("%q names no file of the machine behind the colon", s)
	case strings.Contains(guest, ":"):
		return fileSource{}, fmt.Errorf("%q has more than one colon", s)
	case strings.IndexByte(s, 0) >= 0:
		return fileSource{}, fmt.Errorf("%q holds a NUL", s)
	}
	if !two {
		guest = filepath.Clean(host)
		if !path.IsAbs(guest) && (guest == ".." || strings.HasPrefix(guest, "../")) {
			return fileSource{}, fmt.Errorf("%q leads out of the working directory: say where to, %s:GUEST", s, s)
		}
	}
	if strings.HasSuffix(guest, "/") {
		name := filepath.Base(filepath.Clean(host))
		if name == "." || name == ".." || name == "/" {
			return fileSource{}, fmt.Errorf("%q: %s has no name to keep below %s", s, host, guest)
		}
		guest += name
	}
	if !path.IsAbs(guest) {
		guest = path.Join(workDir, guest)
	}
	guest = path.Clean(guest)
	if err := checkOwn(guest); err != nil {
		return fileSource{}, fmt.Errorf("%q: %w", s, err)
	}
	return fileSource{host: host, guest: guest}, nil
}

// checkOwn refuses what is below a directory of the machine's own.
func checkOwn(guest string) error {
	for _, own := range machineOwn {
		if guest == own || strings.HasPrefix(guest, own+"/") {
			return fmt.Errorf("%s is the machine's own", own)
		}
	}
	return nil
}

// readFiles reads what the sources name, if it fits into room bytes. Directories of the host can become one in the machine,
// files can't.
func readFiles(sources []fileSource, room int64) ([]bundle.File, error) {
	var files []bundle.File
	seen := make(map[string]bundle.File)
	for _, s := range sources {
		more, err := s.read(&room)
		if err != nil {
			return nil, err
		}
		for _, f := range more {
			old, twice := seen[f.Path]
			if twice && (!old.IsDir() || !f.IsDir()) {
				return nil, fmt.Errorf("%s in the machine is named twice", f.Path)
			}
			if !twice {
				seen[f.Path] = f
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// read reads the file, or the directory with all in it but FIFOs, sockets and devices, and takes their sizes from room. A
// symbolic link is followed if it is named itself; those in a directory are copied as links.
func (s fileSource) read(room *int64) ([]bundle.File, error) {
	host, err := filepath.EvalSymlinks(s.host)
	if err != nil {
		return nil, describeFile(s.host, err)
	}
	var files []bundle.File
	err = filepath.WalkDir(host, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return describeFile(name, err)
		}
		below, err := filepath.Rel(host, name)
		if err != nil {
			return err
		}
		guest := path.Join(s.guest, filepath.ToSlash(below))
		if guest == "/" {
			return nil // the root is there
		}
		f, err := readFile(name, room)
		if errors.Is(err, errSpecial) && name != host {
			complain(fmt.Errorf("--file: %w, and is left out", err))
			return nil
		}
		if err != nil {
			return err
		}
		f.Path = guest
		files = append(files, f)
		return nil
	})
	return files, err
}

var (
	errSpecial = errors.New("is neither a file nor a directory nor a symbolic link")
	errNoRoom  = errors.New("is too large for the machine's memory (see --memory)")
)

// readFile reads a file, directory or symbolic link of the host, without its path, and takes its size from room.
func readFile(name string, room *int64) (bundle.File, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return bundle.File{}, describeFile(name, err)
	}
	f := bundle.File{Mode: uint32(info.Mode().Perm()), ModTime: info.ModTime()}
	switch info.Mode().Type() {
	case 0:
		f.Mode |= bundle.ModeRegular
		if *room -= info.Size(); *room < 0 {
			err = errNoRoom
			break
		}
		f.Data, err = mapFile(name)
	case fs.ModeDir:
		f.Mode |= bundle.ModeDir
	case fs.ModeSymlink:
		f.Mode |= bundle.ModeSymlink
		f.Link, err = os.Readlink(name)
	default:
		err = errSpecial
	}
	if err != nil {
		return bundle.File{}, describeFile(name, err)
	}
	return f, nil
}

// mapThreshold is the size from which a file is mapped and not read, in bytes: of mappings a process can't have many.
const mapThreshold = 1 << 20

// mapFile returns what is in a regular file.
func mapFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() < mapThreshold {
		return os.ReadFile(name)
	}
	return unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
}

// describeFile says in one line what is wrong with a file of the host, and with which if name leads to another.
func describeFile(name string, err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		if err = e.Err; e.Path != name {
			name += ", which leads to " + e.Path
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such file", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: can't be read: permission denied", name)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// describeBundle says in the user's words what the initial file system can't hold.
func describeBundle(err error) error {
	var e *bundle.Error
	if errors.As(err, &e) && e.Path != "" {
		return fmt.Errorf("--file or --workdir: %s (%q in the machine)", e.What, e.Path)
	}
	return err
}
