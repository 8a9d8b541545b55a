package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"wick/vmm/vsockhost"
	"wick/vsock/hybrid"
)

func newVsock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vsock",
		Short: "Connect to programs in machines by vsock, and be connected to",
		Long: `Vsock talks with programs in virtual machines through the Unix-domain socket PATH of a machine's vsock
device. That may be one of wick run --vsock PATH, wick vsock serve, Firecracker or Cloud Hypervisor.`,
		Example: `  wick run --vsock /tmp/v ./server                    a machine with such a device
  wick vsock connect /tmp/v 80                        talk to vsock port 80 of its program
  wick vsock listen /tmp/v 1024 >log                  take what the program sends to port 1024 of the host
  wick vsock listen /tmp/v 1025 -- ./answer -v        run a command for each of its connections`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newVsockConnect(), newVsockListen(), newVsockServe())
	return cmd
}

func newVsockConnect() *cobra.Command {
	return &cobra.Command{
		Use:   "connect PATH PORT",
		Short: "Connect standard input and output with a port of a machine",
		Long: `Connect connects to a vsock port of the machine whose device has the socket PATH, sends standard input, and
writes what comes to standard output. The end of standard input ends that direction only. Connect ends when
both directions have ended, or the program in the machine has closed the connection; it fails if that was before all of
standard input was taken.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			port, err := vsockhost.ParsePort(args[1])
			if err != nil {
				return err
			}
			ctx, stop := untilSignal()
			defer stop()
			c, err := hybrid.DialContext(ctx, args[0], port)
			if err != nil {
				return interrupted(ctx, err)
			}
			return interrupted(ctx, connectStdio(ctx, c, cmd.InOrStdin(), cmd.OutOrStdout()))
		},
	}
}

func newVsockListen() *cobra.Command {
	return &cobra.Command{
		Use:   "listen PATH PORT [-- COMMAND [ARG…]]",
		Short: "Take a machine's connections to a port of the host",
		Long: `Listen takes the connections to a vsock port of the host (CID 2) that programs make in the machine whose device
has the socket PATH. Without a COMMAND it takes one, and connects standard input and output with it, as connect does. With
a COMMAND it takes all, until it is told to end by SIGINT or SIGTERM, and runs the command for each, with the connection as
its standard input and output.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); len(args) < 2 || at >= 0 && at != 2 || at < 0 && len(args) > 2 || at == 2 && len(args) == 2 {
				return errors.New("want PATH PORT, or PATH PORT -- COMMAND")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			port, err := vsockhost.ParsePort(args[1])
			if err != nil {
				return err
			}
			ctx, stop := untilSignal()
			defer stop()
			l, err := hybrid.Listen(args[0], port)
			if err != nil {
				return err
			}
			defer l.Close()
			defer context.AfterFunc(ctx, func() { l.Close() })()
			if len(args) > 2 {
				return serveCommand(ctx, l, args[2:])
			}
			c, err := l.Accept()
			l.Close()
			if err != nil {
				return interrupted(ctx, err)
			}
			return interrupted(ctx, connectStdio(ctx, c.(*hybrid.Conn), cmd.InOrStdin(), cmd.OutOrStdout()))
		},
	}
}

// untilSignal returns a context that is over at SIGINT or SIGTERM.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		select {
		case s := <-signals:
			cancel(statusError(statusBySignal + int(s.(unix.Signal))))
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// interrupted returns err, unless it comes of a signal: that needs no words.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// lastInput is how long standard input may take to bring more after the other side has closed the connection: what does not fit
// any more.
const lastInput = 100 * time.Millisecond

// errUnsent tells that the other side has closed the connection before it got everything.
var errUnsent = errors.New("the connection was closed before all of standard input was taken")

// connectStdio moves data both ways until both are at their end, or the other side has closed the connection.
func connectStdio(ctx context.Context, c *hybrid.Conn, in io.Reader, out io.Writer) error {
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	sent := make(chan error, 1)
	source := &source{Reader: in}
	source.work.Lock()
	go func() {
		defer source.work.Unlock()
		_, err := io.Copy(c, source)
		if closed(err) {
			err = errUnsent
		} else if err == nil {
			if err = c.CloseWrite(); closed(err) {
				err = nil // everything was sent
			}
		}
		sent <- err
	}()
	if _, err := io.Copy(out, c); closed(err) {
		return errUnsent
	} else if err != nil {
		return err
	}
	hung := make(chan struct{})
	go func() {
		defer close(hung)
		if raw, err := c.SyscallConn(); err == nil {
			raw.Read(hungUp)
		}
	}()
	select {
	case err := <-sent:
		return err
	case <-hung: // standard input may never end
	}
	select {
	case err := <-sent:
		return err
	case <-time.After(lastInput):
	}
	source.work.Lock() // what has come fails to be sent
	select {
	case err := <-sent:
		return err
	default:
		return ctx.Err()
	}
}

// source is standard input. Who reads from it holds work but for as long as there is nothing to be had.
type source struct {
	io.Reader
	work sync.Mutex
}

func (s *source) Read(p []byte) (int, error) {
	s.work.Unlock()
	defer s.work.Lock()
	return s.Reader.Read(p)
}

// closed tells whether an error of a socket is that the other side has closed it.
func closed(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ENOTCONN)
}

// hungUp tells whether the other side has closed a socket.
func hungUp(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	unix.Poll(p, 0)
	return p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// commandDelay is how long a command may take to end when it is told to.
const commandDelay = 5 * time.Second

// serveCommand runs a command for each connection until ctx is over.
func serveCommand(ctx context.Context, l *hybrid.Listener, command []string) error {
	if _, err := exec.LookPath(command[0]); err != nil {
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) { // later there may be more descriptors
			complain(err)
			time.Sleep(time.Second)
			continue
		}
		if err != nil {
			return err
		}
		work.Go(func() {
			if err := answerBy(ctx, c, command); err != nil && ctx.Err() == nil {
				complain(fmt.Errorf("%s: %w", command[0], err))
			}
		})
	}
}

// answerBy runs a command that has the connection as its standard input and output.
func answerBy(ctx context.Context, c net.Conn, command []string) error {
	defer c.Close()
	file, err := c.(*hybrid.Conn).File()
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = commandDelay
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, os.Stderr
	return cmd.Run()
}
