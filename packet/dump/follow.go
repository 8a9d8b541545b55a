package dump

import (
	"fmt"
	"io"
	"os"
	"time"
)

// followInterval is how often a file is asked whether it has grown.
const followInterval = 50 * time.Millisecond

// Follow returns a reader of a file that grows: at the end it waits for more, until stop is closed; then it is at its end.
// It is an error if the file gets shorter than what has been read.
func Follow(file *os.File, stop <-chan struct{}) io.Reader { return &follower{file, stop} }

type follower struct {
	file *os.File
	stop <-chan struct{}
}

func (f *follower) Read(b []byte) (int, error) {
	for {
		n, err := f.file.Read(b)
		if n > 0 || err != io.EOF || len(b) == 0 {
			return n, err
		}
		if err := f.shorter(); err != nil {
			return 0, err
		}
		select {
		case <-f.stop:
			return 0, io.EOF
		case <-time.After(followInterval):
		}
	}
}

// shorter tells whether the file has lost what has been read of it.
func (f *follower) shorter() error {
	at, err := f.file.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil // it isn't a file that can get shorter
	}
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < at {
		return fmt.Errorf("the file has become shorter: %d bytes, of which %d have been read", info.Size(), at)
	}
	return nil
}
