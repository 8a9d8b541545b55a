// Command kernel is the kernel of wick's microVMs. It wires the packages below kernel/ together, runs the program that the
// initial RAM disk names, tells the host how it ended, and turns the machine off.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"wick/bundle"
	"wick/kernel/ground"
	"wick/kernel/mm"
	"wick/kernel/net"
	"wick/kernel/task"
)

// exitFailed is what the machine is turned off with when no program could be run; otherwise it is 0, and the
// channel has told the program's status.
const exitFailed = 1

func main() {
	began = ground.Uptime()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "wick: kernel:", err)
		ground.PowerOff(exitFailed)
	}
	ground.PowerOff(0)
}

// began is what ground.Uptime was when main began.
var began uint64

func run() error {
	base, initrd := ground.Initrd()
	if initrd == nil {
		return errors.New("no initial RAM disk, so nothing to run (see wick build)")
	}
	b, err := bundle.Parse(initrd)
	if err != nil {
		return err
	}
	setClock(&b.Config)
	ground.StartWatchdog()
	h, err := openHost(&b.Config)
	if err != nil {
		return err
	}
	k := &kernel{bundle: b, base: mm.PhysAddr(base), host: h}
	return k.run()
}

// kernel is what is wired together.
type kernel struct {
	bundle *bundle.Bundle
	base   mm.PhysAddr // of the bundle
	host   host

	shortage shortage
}

// log prints a line to the kernel log.
func (k *kernel) log(format string, args ...any) { fmt.Fprintf(k.host.output(), format+"\n", args...) }

// detail is log for what only wick run -v shows.
func (k *kernel) detail(format string, args ...any) {
	if k.bundle.Config.Verbose {
		k.log(format, args...)
	}
}

// run brings up the network and runs the program to its end.
func (k *kernel) run() error {
	c := &k.bundle.Config
	slot := findCard()
	w, err := k.startWatch(slot.description)
	if err != nil {
		return err
	}
	tap := w.tap()
	card, err := slot.start(keepPackets(tap), tap != nil)
	if err != nil {
		return err
	}
	if card != nil {
		w.watch(card)
		go card.tellFailure(k.log)
	} else if c.Address != "" {
		k.log("wick: the machine has no network card that the kernel has a driver for")
	}
	entropy := k.startEntropy()
	stack, err := startNetwork(c, card, w.judge(), &k.shortage, k.detail)
	if err != nil {
		return err
	}
	sockets, err := startVsock(stack, w.sockets)
	if err != nil {
		return err
	}
	if sockets != nil {
		go tellVsockFailure(sockets, k.log)
	}
	k.tellDevices()
	if entropy.device != nil {
		k.detail("kernel: %d bytes of entropy from the host", entropy.bytes)
	}
	k.tellMemory("before the program")
	status, err := k.runProgram(stack)
	if err != nil {
		return err
	}
	if left := stack.Linger(time.Now().Add(lingerPatience)); left > 0 {
		k.log("wick: %d connections could not deliver all that was sent", left)
	}
	if card != nil {
		card.Stop()
	}
	if sockets != nil {
		sockets.Stop()
		k.tellVsockCounters(sockets)
	}
	k.tellCounters(card, stack)
	w.end(k.log)
	k.host.end(status)
	return nil
}

// runProgram runs the program and returns how it ended. One that can't be loaded ends as with a shell: with status 127 if
// there is no such file, else 126.
func (k *kernel) runProgram(stack *net.Stack) (task.Status, error) {
	p, err := k.startProgram(stack)
	var unloadable *task.LoadError
	switch {
	case errors.As(err, &unloadable):
		k.log("wick: %v", err)
		if unloadable.Errno == unix.ENOENT {
			return task.Status{Code: 127}, nil
		}
		return task.Status{Code: 126}, nil
	case err != nil:
		return task.Status{}, err
	}
	k.host.signals(p)
	k.underTest()
	return p.Wait(), nil
}

// lingerPatience is how long TCP and vsock may go on with delivering what the program has sent, after its end.
const lingerPatience = 5 * time.Second
