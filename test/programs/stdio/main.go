// Stdio does one thing with its standard streams, arguments or status, for a caller that looks at it from outside.
// It has no cases: its first argument says what to do.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var actions = map[string]func(args []string) error{
	"cat":     cat,
	"sum":     sum,
	"lines":   lines,
	"streams": streams,
	"flood":   flood,
	"tty":     tty,
	"args":    args,
	"env":     env,
	"exit":    exit,
	"kill":    kill,
	"trap":    trap,
	"ignore":  ignore,
	"spin":    spin,
	"sleep":   sleep,
	"work":    work,
	"panic":   func([]string) error { panic("on purpose") },
	"nil":     func([]string) error { var p *int; *p = 1; return nil },
	"stack":   stack,
	"closed":  closed,
	"cpus":    func([]string) error { fmt.Println(runtime.NumCPU()); return nil },
	"random":  random,
}

func main() {
	if len(os.Args) < 2 || actions[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: stdio ACTION [ARG…]")
		os.Exit(2)
	}
	if err := actions[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "stdio:", err)
		os.Exit(1)
	}
}

// cat copies standard input to standard output.
func cat([]string) error {
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

// sum prints the size and SHA-256 of standard input.
func sum([]string) error {
	h := sha256.New()
	n, err := io.Copy(h, os.Stdin)
	fmt.Printf("%d %x\n", n, h.Sum(nil))
	return err
}

// lines answers each line of standard input at once.
func lines([]string) error {
	in := bufio.NewScanner(os.Stdin)
	for n := 1; in.Scan(); n++ {
		fmt.Printf("%d: %s\n", n, strings.ToUpper(in.Text()))
	}
	return in.Err()
}

// streams writes to standard output and standard error in turn.
func streams([]string) error {
	for i := range 100 {
		fmt.Fprintf(os.Stdout, "out %d\n", i)
		fmt.Fprintf(os.Stderr, "err %d\n", i)
	}
	return nil
}

// flood writes args[0] bytes of a known pattern to standard output.
func flood(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	_, err = os.Stdout.Write(b)
	return err
}

// tty says what each standard stream is.
func tty([]string) error {
	for fd, name := range []string{"stdin", "stdout", "stderr"} {
		what := "other"
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFIFO {
			what = "pipe"
		}
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil {
			size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("terminal %dx%d", size.Col, size.Row)
		}
		fmt.Printf("%s: %s\n", name, what)
	}
	return nil
}

// args prints each argument, quoted.
func args(args []string) error {
	for _, a := range args {
		fmt.Printf("%q\n", a)
	}
	return nil
}

// env prints the environment, quoted.
func env([]string) error {
	for _, kv := range os.Environ() {
		fmt.Printf("%q\n", kv)
	}
	return nil
}

// exit ends with a status, and leaves output that was just written.
func exit(args []string) error {
	status, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	fmt.Println("ending with", status)
	os.Exit(status)
	return nil
}

// kill ends itself by a signal.
func kill(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	sig := syscall.Signal(n)
	signal.Reset(sig)
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		return err
	}
	time.Sleep(10 * time.Second)
	return fmt.Errorf("signal %d did not end the program", n)
}

// trap says that it is ready, and which signal comes.
func trap([]string) error {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGWINCH)
	fmt.Println("ready")
	fmt.Println("got", <-ch)
	return nil
}

// ignore says that it is ready, and does not end by SIGINT.
func ignore([]string) error {
	signal.Ignore(syscall.SIGINT)
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}

// spin says that it is ready, and uses a processor for ever.
func spin([]string) error {
	fmt.Println("ready")
	for n := 0; ; n++ {
	}
}

// work says that it is ready, makes system calls all the time, and tells of each SIGQUIT, until SIGINT.
func work([]string) error {
	ch := make(chan os.Signal, 16)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGQUIT)
	fmt.Println("ready")
	for {
		select {
		case sig := <-ch:
			fmt.Println("got", sig)
			if sig == syscall.SIGINT {
				return nil
			}
		default:
			syscall.Getppid()
			time.Sleep(time.Millisecond)
		}
	}
}

// sleep says that it is ready, and does nothing for ever.
func sleep([]string) error {
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
	}
}

// closed closes the standard streams and ends well.
func closed([]string) error {
	for fd := range 3 {
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	if _, err := unix.Write(1, []byte("x")); err != unix.EBADF {
		os.Exit(1)
	}
	return nil
}

// random prints random bytes from each source that programs have.
func random([]string) error {
	b := make([]byte, 16)
	if _, err := unix.Getrandom(b, 0); err != nil {
		return err
	}
	fmt.Printf("%x\n", b)
	f, err := os.Open("/dev/urandom")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.ReadFull(f, b); err != nil {
		return err
	}
	fmt.Printf("%x\n", b)
	fmt.Printf("%x\n", rand.Uint64()) // seeded from AT_RANDOM by Go's runtime
	return nil
}

// stack overflows the stack, whose limit it lowers to what a small machine has.
func stack([]string) error {
	debug.SetMaxStack(16 << 20)
	fmt.Println(overflow(1))
	return nil
}

//go:noinline
func overflow(n int) int { return overflow(n+1) + n }
