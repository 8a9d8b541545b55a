package hybrid

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// maxPath is the longest path that the address of a Unix-domain socket has room for, in bytes [unix(7)].
const maxPath = 107

// CheckPath tells what the system would only call an invalid argument, or take for something else: whether a path is empty, or too
// long for a socket.
func CheckPath(path string) error {
	if path == "" {
		return errors.New("the path of the socket is empty")
	}
	if len(path) > maxPath {
		return fmt.Errorf("%s is longer than the %d bytes that the path of a socket may have", path, maxPath)
	}
	return nil
}

// The pauses of DialUnix, each twice as long as the one before.
const (
	firstPause = time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// DialUnix connects to the Unix-domain socket at path. While as many wait there as its listener has allowed, it waits, too, as
// connect(2) does that may block; then the error wraps syscall.EAGAIN and the cause of ctx.
func DialUnix(ctx context.Context, path string) (*net.UnixConn, error) {
	if err := CheckPath(path); err != nil {
		return nil, err
	}
	var full error
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, lastPause) {
		// It never blocks [connect(2), EAGAIN], so it needs no context: one that has just passed its deadline would make an
		// error of its own, before ctx tells of its end.
		c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, err
		}
		full = err
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	if full != nil {
		return nil, fmt.Errorf("its backlog is full: %w: %w", full, context.Cause(ctx))
	}
	return nil, fmt.Errorf("%s: %w", path, context.Cause(ctx))
}

// UnixListener listens at a Unix-domain socket.
type UnixListener struct {
	*net.UnixListener
	path  string
	file  fs.FileInfo // of the socket; nil if it has no path
	close sync.Once
}

// ListenUnix listens at the path of a Unix-domain socket. A socket that nobody listens at, as a killed program leaves it, gives way;
// one that is in use is not disturbed.
func ListenUnix(path string) (*UnixListener, error) {
	if err := CheckPath(path); err != nil {
		return nil, err
	}
	defer lockFolder(path)()
	addr := &net.UnixAddr{Name: path, Net: "unix"}
	l, err := net.ListenUnix("unix", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := giveWay(path); err != nil {
			return nil, err
		}
		l, err = net.ListenUnix("unix", addr)
	}
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	u := &UnixListener{UnixListener: l, path: path}
	u.file, _ = os.Lstat(path)
	return u, nil
}

// giveWay removes what is in the way if it is a socket that nobody listens at.
func giveWay(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	if !abandoned(path) {
		return fmt.Errorf("%s is in use: somebody listens there", path)
	}
	return os.Remove(path)
}

// folderPatience is how long a folder that somebody else has locked is waited for.
var folderPatience = time.Second

// lockFolder keeps other programs with this package from the folder of a path until it is unlocked: between its bind(2) and its
// listen(2), a socket looks like one that a killed program has left. A folder that can't be opened isn't locked.
func lockFolder(path string) (unlock func()) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(folderPatience); syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil; {
		if time.Now().After(end) { // somebody has it for something else
			break
		}
		time.Sleep(firstPause)
	}
	return func() { folder.Close() }
}

// Close ends Accept and removes the socket, if it is still this one that the path leads to.
func (l *UnixListener) Close() (err error) {
	l.close.Do(func() {
		if info, e := os.Lstat(l.path); l.file != nil && e == nil && os.SameFile(info, l.file) {
			err = os.Remove(l.path)
		}
	})
	return errors.Join(err, l.UnixListener.Close())
}

// abandoned tells whether there is a socket that nobody has open. A datagram socket can't be connected to one for streams, whose
// owner learns nothing of the attempt: the error is EPROTOTYPE then, and not ECONNREFUSED [unix(7)].
func abandoned(path string) bool {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
