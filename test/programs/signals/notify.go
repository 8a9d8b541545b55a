package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wick/test/programs/check"
)

// self sends a signal to the process.
func self(t *check.T, sig syscall.Signal) { t.Must(syscall.Kill(os.Getpid(), sig)) }

func notify(t *check.T) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGWINCH, syscall.Signal(40))
	defer signal.Stop(ch)
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGWINCH, syscall.Signal(40)} {
		self(t, sig)
		check.Equal(t, "signal", <-ch, os.Signal(sig))
	}
}

func notifyContext(t *check.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		ctx, stop := signal.NotifyContext(context.Background(), sig)
		self(t, sig)
		<-ctx.Done()
		stop()
	}
}

func ignore(t *check.T) {
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	if !signal.Ignored(syscall.SIGHUP) {
		t.Errorf("SIGHUP is not ignored")
	}
	for range 10 {
		self(t, syscall.SIGHUP)
	}
}

// storm sends many signals from many threads. Equal ones may merge [signal(7)], but of each kind one must come; in which
// order is open, as the threads that take them may be held up before they have told the runtime.
func storm(t *check.T) {
	ch := make(chan os.Signal, 10000)
	signal.Notify(ch, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(ch)
	done := make(chan struct{})
	for range 4 {
		go func() {
			for range 500 {
				self(t, syscall.SIGUSR1)
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		<-done
	}
	self(t, syscall.SIGUSR2)
	n := 0
	for last := false; !last || n == 0; {
		select {
		case sig := <-ch:
			last = last || sig == syscall.SIGUSR2
			if sig == syscall.SIGUSR1 {
				n++
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of 2000 signals came, the last: %v", n, last)
		}
	}
	if n > 2000 {
		t.Errorf("%d signals came of 2000", n)
	}
}

func tgkill(t *check.T) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	defer signal.Stop(ch)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t.Must(unix.Tgkill(os.Getpid(), unix.Gettid(), syscall.SIGUSR1))
	check.Equal(t, "signal", <-ch, os.Signal(syscall.SIGUSR1))

	// To a thread that is blocked in the kernel.
	tid := make(chan int)
	end := make(chan struct{})
	var fds [2]int
	t.Must(unix.Pipe2(fds[:], unix.O_CLOEXEC))
	go func() {
		defer close(end)
		runtime.LockOSThread()
		tid <- unix.Gettid()
		for {
			// Handlers are installed with SA_RESTART, so no EINTR comes [signal(7)].
			n, err := unix.Read(fds[0], make([]byte, 1))
			if err != nil || n != 0 {
				t.Errorf("read: %d, %v", n, err)
			}
			return
		}
	}()
	target := <-tid
	for range 5 {
		time.Sleep(2 * time.Millisecond)
		t.Must(unix.Tgkill(os.Getpid(), target, syscall.SIGUSR1))
		check.Equal(t, "signal", <-ch, os.Signal(syscall.SIGUSR1))
	}
	unix.Close(fds[1])
	<-end
	unix.Close(fds[0])
}

func killErrors(t *check.T) {
	pid := os.Getpid()
	t.WantErr("signal 0", syscall.Kill(pid, 0), nil)
	t.WantErr("signal 65", syscall.Kill(pid, 65), unix.EINVAL)
	t.WantErr("signal -1", syscall.Kill(pid, -1), unix.EINVAL)
	t.WantErr("a process that isn't there", syscall.Kill(1<<22+1, 0), unix.ESRCH)
	t.WantErr("a thread that isn't there", unix.Tgkill(pid, 1<<22+1, 0), unix.ESRCH)
	t.WantErr("thread 0", unix.Tgkill(pid, 0, 0), unix.EINVAL)
}

// alarm lets a timer of the process fire three times.
func alarm(t *check.T) {
	ch := make(chan os.Signal, 10)
	signal.Notify(ch, syscall.SIGALRM)
	defer signal.Stop(ch)
	every := unix.Timeval{Usec: 10000}
	start := time.Now()
	_, err := unix.Setitimer(unix.ItimerReal, unix.Itimerval{Interval: every, Value: every})
	t.Must(err)
	for range 3 {
		<-ch
	}
	if took := time.Since(start); took < 30*time.Millisecond {
		t.Errorf("3 alarms of 10 ms took %v", took)
	}
	old, err := unix.Setitimer(unix.ItimerReal, unix.Itimerval{})
	t.Must(err)
	check.Equal(t, "interval", old.Interval, every)
}
