package main

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wick/vmm/session/ptytest"
)

// playShell is a shell that starts its arguments as a background job and obeys descriptor 3:
// "f" brings the job to the foreground as bash does with one that runs, without a SIGCONT; "t" terminates it. Before "f" the terminal
// has the modes in which the shell edits its line. The job's standard output is descriptor 4.
func playShell() {
	os.Setenv(envRole, "wick")
	cooked, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		fail("%v", err)
	}
	edit := *cooked
	edit.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(0, unix.TCSETSW, &edit); err != nil {
		fail("%v", err)
	}
	job := exec.Command(os.Args[0], os.Args[1:]...)
	job.Stdin, job.Stdout, job.Stderr = os.Stdin, os.NewFile(4, "output"), os.Stderr
	job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := job.Start(); err != nil {
		fail("%v", err)
	}
	orders := os.NewFile(3, "orders")
	for order := []byte{0}; ; {
		if _, err := orders.Read(order); err != nil {
			fail("%v", err)
		}
		switch order[0] {
		case 'f':
			if err := unix.IoctlSetTermios(0, unix.TCSETSW, cooked); err != nil {
				fail("%v", err)
			}
			if err := unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, job.Process.Pid); err != nil {
				fail("%v", err)
			}
		case 't':
			job.Process.Signal(syscall.SIGTERM)
			job.Wait()
			os.Exit(job.ProcessState.ExitCode())
		}
	}
}

func termios(t *testing.T, tty *os.File) unix.Termios {
	t.Helper()
	now, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *now
}

// awaitModes waits until a terminal has the modes that the program has set.
func awaitModes(t *testing.T, terminal *os.File) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); termios(t, terminal).Lflag != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the program's modes are not set: %+v", termios(t, terminal))
		}
	}
}

// TestBackgroundJob: in the background wick leaves the terminal alone and the machine runs; in
// the foreground the program gets its modes and its input.
func TestBackgroundJob(t *testing.T) {
	master, slave := ptytest.Open(t)
	before := termios(t, slave)
	shell := wickCommand(t, "run", "./program", "wait")
	shell.Env = append(shell.Env, envRole+"=shell")
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ordersOut, orders, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer orders.Close()
	out, outIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	shell.ExtraFiles = []*os.File{ordersOut, outIn}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	ordersOut.Close()
	outIn.Close()
	defer shell.Process.Kill()
	r := &running{T: t, wick: shell.Process, out: bufio.NewReader(out), wait: shell.Wait,
		state: func() *os.ProcessState { return shell.ProcessState }}
	r.findQEMU()   // the fake guest has set modes and given credit before
	edit := before // as playShell's
	edit.Lflag &^= unix.ECHO
	if now := termios(t, slave); now != edit {
		t.Errorf("a job in the background has set modes: %+v", now)
	}
	master.WriteString("x\n")
	orders.WriteString("f")
	r.expect("Stdin [120 10]")
	awaitModes(t, slave) // its input may come a moment before
	orders.WriteString("t")
	r.expectEnd(143)
	if now := termios(t, slave); now != before {
		t.Errorf("the terminal is not set back: %+v", now)
	}
}

// TestSuspend: Ctrl-Z stops the machine too, and sets the terminal back meanwhile.
func TestSuspend(t *testing.T) {
	master, slave := ptytest.Open(t)
	ptytest.Resize(t, master, 24, 80)
	before := termios(t, slave)
	cmd := wickCommand(t, "run", "./program", "wait")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	r := &running{T: t, wick: cmd.Process, out: bufio.NewReader(master), wait: cmd.Wait,
		state: func() *os.ProcessState { return cmd.ProcessState }}
	r.findQEMU()
	r.expect("WinSize [24 0 80 0]")
	r.wick.Signal(syscall.SIGTSTP)
	var status unix.WaitStatus
	if _, err := unix.Wait4(r.wick.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("wick does not stop: %v, %v", status, err)
	}
	awaitState(t, r.qemuPID, "T")
	if now := termios(t, slave); now != before {
		t.Errorf("the terminal is not set back: %+v", now)
	}
	r.wick.Signal(syscall.SIGCONT)
	r.expect("WinSize [24 0 80 0]") // said again: it may have changed
	master.WriteString("y")
	r.expect("Stdin [121]")
	awaitModes(t, slave)
	r.wick.Signal(syscall.SIGTERM)
	r.expectEnd(143)
}

// awaitState waits until a process is in a state of proc_pid_stat(5). No event tells of it.
func awaitState(t *testing.T, pid, state string) {
	t.Helper()
	for range 10_000 {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		if _, rest, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(rest, state) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("process %s does not come into state %s", pid, state)
}
