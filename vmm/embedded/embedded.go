// Package embedded holds the kernel image that `make build` puts into wick.
package embedded

import (
	"embed"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// The folder always holds a README, so that the module builds without an image.
//
//go:embed image
var folder embed.FS

const imageName = "image/kernel.img"

// ErrNoImage says that wick was built without a kernel in it, by plain `go build`.
var ErrNoImage = errors.New("this wick has no kernel in it: build it with `make build`")

// Size returns the size of the kernel image in bytes, or ErrNoImage.
func Size() (int64, error) { return sizeOf(folder) }

// Open returns the kernel image as an anonymous file in memory: QEMU reads it through the
// inherited descriptor. The error is ErrNoImage if there is none.
func Open() (*os.File, error) { return open(folder) }

func sizeOf(folder fs.FS) (int64, error) {
	info, err := fs.Stat(folder, imageName)
	if err != nil {
		return 0, ErrNoImage
	}
	return info.Size(), nil
}

func open(folder fs.FS) (*os.File, error) {
	image, err := folder.Open(imageName)
	if err != nil {
		return nil, ErrNoImage
	}
	fd, err := unix.MemfdCreate("wick-kernel", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "wick-kernel")
	// A buffer that stays in the cache: the image is copied through it once, in few calls.
	if _, err := io.CopyBuffer(onlyWriter{f}, image, make([]byte, 256<<10)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// onlyWriter hides os.File.ReadFrom, which would copy with a small buffer of its own.
type onlyWriter struct{ io.Writer }
