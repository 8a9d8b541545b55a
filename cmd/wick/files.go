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
	for _, own := range machineOwn {
		if guest == own || strings.HasPrefix(guest, own+"/") {
			return fileSource{}, fmt.Errorf("%q: %s is the machine's own", s, own)
		}
	}
	return fileSource{host: host, guest: guest}, nil
}

// readFiles reads what the sources name. Directories of the host can become one in the machine, files can't.
func readFiles(sources []fileSource) ([]bundle.File, error) {
	var files []bundle.File
	seen := make(map[string]bundle.File)
	for _, s := range sources {
		more, err := s.read()
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

// read reads the file, or the directory with all in it. A symbolic link is followed if it is named itself; those in a
// directory are copied as links.
func (s fileSource) read() ([]bundle.File, error) {
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
		f, err := readFile(name)
		if err != nil {
			return err
		}
		f.Path = guest
		files = append(files, f)
		return nil
	})
	return files, err
}

// readFile reads a file, directory or symbolic link of the host, without its path.
func readFile(name string) (bundle.File, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return bundle.File{}, describeFile(name, err)
	}
	f := bundle.File{Mode: uint32(info.Mode().Perm()), ModTime: info.ModTime()}
	switch info.Mode().Type() {
	case 0:
		f.Mode |= bundle.ModeRegular
		f.Data, err = mapFile(name)
	case fs.ModeDir:
		f.Mode |= bundle.ModeDir
	case fs.ModeSymlink:
		f.Mode |= bundle.ModeSymlink
		f.Link, err = os.Readlink(name)
	default:
		err = errors.New("is neither a file nor a directory nor a symbolic link")
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

// describeFile says in one line what is wrong with a file of the host.
func describeFile(name string, err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		name, err = e.Path, e.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such file", name)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: can't be read: permission denied", name)
	}
	return fmt.Errorf("%s: %w", name, err)
}
