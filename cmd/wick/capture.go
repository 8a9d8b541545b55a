package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"wick/packet/dump"
	"wick/packet/pcap"
)

// captureFlags are the flags of wick run that are about captures.
type captureFlags struct {
	path    string
	snapLen int
	rotate  string
	qemu    string // QEMU's own capture: what the host's end of the wire sees

	size  int64 // of a file
	count int   // of files; 0: no limit
}

func (f *captureFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.path, "pcap", "", "write a capture of the network card, and of vsock, to `FILE`, in pcapng, whatever it is named")
	flags.IntVar(&f.snapLen, "snaplen", 0, "capture only the first `N` bytes of each packet; 0: all")
	flags.StringVar(&f.rotate, "rotate", "", "write the capture to numbered files of `SIZE[:COUNT]`: SIZE with K, M or G, M if bare; the newest COUNT are kept, or all")
	flags.StringVar(&f.qemu, "qemu-pcap", "", "write QEMU's capture of the network to `FILE`, in pcap")
	flags.MarkHidden("qemu-pcap") // a second opinion, for tests of the kernel's dump and capture
}

// parse checks the flags.
func (f *captureFlags) parse() (err error) {
	switch {
	case f.path == "" && (f.snapLen != 0 || f.rotate != ""):
		return errors.New("--snaplen and --rotate are for --pcap")
	case f.path == "-":
		return errors.New("--pcap: standard output is the program's; name a file or a pipe, such as /dev/fd/3")
	case f.snapLen < 0 || f.snapLen > pcap.MaxPacket:
		return fmt.Errorf("--snaplen: %d is not between 0 and %d", f.snapLen, pcap.MaxPacket)
	case f.rotate == "":
		return nil
	}
	size, count, counted := strings.Cut(f.rotate, ":")
	if f.size, err = parseSize(size); err != nil {
		return fmt.Errorf("--rotate: %w", err)
	}
	if !counted {
		return nil
	}
	if f.count, err = strconv.Atoi(count); err != nil || f.count < 1 {
		return fmt.Errorf("--rotate: %q is not a number of files", count)
	}
	return nil
}

// open creates the file; the capture is nil if none is asked for. program must not be overwritten.
func (f *captureFlags) open(program string) (*capture, error) {
	if f.path == "" {
		return nil, nil
	}
	if err := notSame("--pcap", f.path, program); err != nil {
		return nil, err
	}
	file, err := dump.NewRotator(f.path, f.size, f.count)
	if err != nil {
		return nil, fmt.Errorf("--pcap: %w", err)
	}
	if f.size > 0 {
		f.warnOfOld()
	}
	return &capture{file: file}, nil
}

// openQEMU creates the file of QEMU's capture, nil if none is asked for.
func (f *captureFlags) openQEMU(program string) (*os.File, error) {
	if f.qemu == "" {
		return nil, nil
	}
	if err := notSame("--qemu-pcap", f.qemu, program); err != nil {
		return nil, err
	}
	file, err := os.Create(f.qemu)
	if err != nil {
		return nil, fmt.Errorf("--qemu-pcap: %w", err)
	}
	return file, nil
}

// notSame is an error if a file that will be written is the program.
func notSame(flag, path, program string) error {
	a, err1 := os.Stat(path)
	b, err2 := os.Stat(program)
	if err1 == nil && err2 == nil && os.SameFile(a, b) {
		return fmt.Errorf("%s: %s is the program", flag, path)
	}
	return nil
}

// warnOfOld tells of files that could be taken for some of this run.
func (f *captureFlags) warnOfOld() {
	extension := filepath.Ext(f.path)
	prefix := filepath.Base(strings.TrimSuffix(f.path, extension)) + "-"
	entries, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil {
		return
	}
	var old []string
	for _, e := range entries {
		number, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), extension), prefix)
		if n, err := strconv.Atoi(number); ok && err == nil && n > 1 && strings.HasSuffix(e.Name(), extension) {
			old = append(old, e.Name())
		}
	}
	if len(old) > 0 {
		complain(fmt.Errorf("warning: --rotate: there are files of an earlier run, such as %s (%d in all)", old[0], len(old)))
	}
}

// capture takes the guest's capture. What goes wrong with the file ends the capture and not the run.
type capture struct {
	file *dump.Rotator
	err  error // has been told
}

// Write implements io.Writer. It never fails.
func (c *capture) Write(b []byte) (int, error) {
	if c.err == nil {
		if _, err := c.file.Write(b); err != nil {
			c.fail(err)
		}
	}
	return len(b), nil
}

func (c *capture) fail(err error) {
	c.err = err
	if errors.Is(err, unix.EPIPE) {
		complain(fmt.Errorf("--pcap: %s: nobody reads it any more; the capture ends here", c.file.Name()))
		return
	}
	complain(fmt.Errorf("--pcap: %w; the capture ends here", err))
}

// close closes the file, and tells whether the capture is complete as far as wick is concerned. ended tells that the kernel
// has got to its end: otherwise what it had not sent is missing.
func (c *capture) close(ended bool) (ok bool) {
	err := c.file.Close()
	switch {
	case c.err != nil:
		return false
	case !ended:
		complain(fmt.Errorf("--pcap: %s ends with what the machine had sent by then", c.file.Name()))
		return true // the machine's end has a status of its own
	case err != nil:
		c.fail(err)
		return false
	}
	return true
}
