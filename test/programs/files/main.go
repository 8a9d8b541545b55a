// Files checks regular files, directories, links, descriptors, pipes, eventfds, inotify, and the files of /dev, /proc
// and /etc that programs read.
package main

import (
	"bytes"
	"os"

	"wick/test/programs/check"
)

func main() {
	check.Main(
		check.Case{Name: "create-read-write", Run: createReadWrite},
		check.Case{Name: "open-flags", Run: openFlags},
		check.Case{Name: "append", Run: appendConcurrently},
		check.Case{Name: "seek", Run: seek},
		check.Case{Name: "pread-pwrite", Run: preadPwrite},
		check.Case{Name: "offsets-end", Run: offsetsEnd},
		check.Case{Name: "vectors", Run: vectors},
		check.Case{Name: "holes", Run: holes},
		check.Case{Name: "truncate", Run: truncate},
		check.Case{Name: "big-file", Run: bigFile},
		check.Case{Name: "unlinked-open", Run: unlinkedOpen},
		check.Case{Name: "stat", Run: stat},
		check.Case{Name: "chmod-times", Run: chmodTimes},
		check.Case{Name: "copy", Run: copyFile},
		check.Case{Name: "copy-within-file", Run: copyWithinFile},
		check.Case{Name: "extended-attributes", Run: extendedAttributes},

		check.Case{Name: "directories", Run: directories},
		check.Case{Name: "read-directory", Run: readDirectory},
		check.Case{Name: "rename", Run: rename},
		check.Case{Name: "links", Run: links},
		check.Case{Name: "working-directory", Run: workingDirectory},
		check.Case{Name: "at-calls", Run: atCalls},

		check.Case{Name: "dup", Run: dup},
		check.Case{Name: "fcntl", Run: fcntl},
		check.Case{Name: "lowest-descriptor", Run: lowestDescriptor},
		check.Case{Name: "pipe", Run: pipe},
		check.Case{Name: "pipe-nonblock", Run: pipeNonblock},
		check.Case{Name: "pipe-broken", Run: pipeBroken},
		check.Case{Name: "pipe-bulk", Run: pipeBulk},
		check.Case{Name: "pipe-spliced-by-two", Run: pipeSplicedByTwo},
		check.Case{Name: "pipe-packets", Run: pipePackets},
		check.Case{Name: "pipe-packets-and-bytes", Run: pipePacketsAndBytes},
		check.Case{Name: "fifo-attributes", Run: fifoAttributes},
		check.Case{Name: "fifo-open", Run: fifoOpen},
		check.Case{Name: "fifo-nonblock", Run: fifoNonblock},
		check.Case{Name: "fifo-poll", Run: fifoPoll},
		check.Case{Name: "fifo-bytes-go-with-the-last-end", Run: fifoBytesGo},
		check.Case{Name: "eventfd", Run: eventfd},

		check.Case{Name: "inotify-directory", Run: inotifyDirectory},
		check.Case{Name: "inotify-file", Run: inotifyFile},
		check.Case{Name: "inotify-directory-and-file", Run: inotifyBoth},
		check.Case{Name: "inotify-masks", Run: inotifyMasks},
		check.Case{Name: "inotify-read", Run: inotifyRead},

		check.Case{Name: "devices", Run: devices},
		check.Case{Name: "proc", Run: proc},
		check.Case{Name: "proc-read-again", Run: procReadAgain},
		check.Case{Name: "program-is-busy", Run: programIsBusy},
		check.Case{Name: "etc", Run: etc},
		check.Case{Name: "errno", Run: errnoTable},
		check.Case{Name: "errno-fault", Run: errnoFault},
	)
}

// tempDir returns a new directory that goes with the case.
func tempDir(t *check.T) string {
	dir, err := os.MkdirTemp("", "files-")
	t.Must(err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing %s: %v", dir, err)
		}
	})
	return dir
}

// openFile opens a file that is closed with the case.
func openFile(t *check.T, path string, flags int) *os.File {
	f, err := os.OpenFile(path, flags, 0o644)
	t.Must(err)
	t.Cleanup(func() { f.Close() })
	return f
}

// wantContent checks the whole of a file.
func wantContent(t *check.T, path string, want []byte) {
	got, err := os.ReadFile(path)
	t.Must(err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %.40q (%d bytes), want %.40q (%d bytes)", path, got, len(got), want, len(want))
	}
}

// pattern returns n bytes that differ from one place to the next.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i) ^ byte(i>>8)*7 ^ byte(i>>16)*13
	}
	return p
}
