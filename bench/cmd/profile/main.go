// Profile finds out where the time of wick's kernel goes under the loads of make bench, and writes that in pprof's format,
// with which the kernel is then built. `make profile` runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"wick/bench/guest"
	"wick/bench/measure"
	"wick/bench/profile"
	"wick/vmm"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	kernel, image, server string // files
	out                   string
	each                  time.Duration
	load                  string
}

func parse() (*options, error) {
	o := new(options)
	flag.StringVar(&o.kernel, "kernel", "out/kernel.elf", "`file` with the kernel's debugging information")
	flag.StringVar(&o.image, "image", "vmm/embedded/image/kernel.img", "`file` with the image made of it")
	flag.StringVar(&o.server, "server", "out/bench/server", "`file` with the server of make bench")
	flag.StringVar(&o.out, "out", "out/bench/kernel.pprof", "`file` to write")
	flag.StringVar(&o.load, "load", "", "look under this load only, such as tcp-echo")
	flag.DurationVar(&o.each, "time", 10*time.Second, "how long to look under each load, on each machine")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	return o, nil
}

func run() error {
	o, err := parse()
	if err != nil {
		return err
	}
	qemu, err := vmm.FindQEMU()
	if err != nil {
		return err
	}
	symbols, err := profile.Load(o.kernel)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "wick-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	kernel, err := guest.Wick("wick", o.image, o.image, dir, map[guest.Program]string{guest.Server: o.server})
	if err != nil {
		return err
	}
	p := profiler{options: o, symbols: symbols, dir: dir, measure: &measure.Options{QEMU: qemu}}
	for _, m := range guest.Machines {
		if err := p.look(guest.Guest{Kernel: kernel, Machine: m, CPUs: 1}); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
	}
	return p.write()
}

// profiler collects what the kernel did.
type profiler struct {
	*options
	measure *measure.Options
	symbols *profile.Symbols
	dir     string // for files that are not kept
	samples []profile.Sample
}

func (p *profiler) look(g guest.Guest) error {
	socket := filepath.Join(p.dir, "monitor")
	g.Args = []string{"-qmp", "unix:" + socket + ",server=on,wait=off"}
	var s *profile.Sampler
	defer func() {
		if s != nil {
			s.Monitor.Close()
		}
	}()
	return p.measure.During(g, func(what string) error {
		if p.load != "" && p.load != what {
			return nil
		}
		if s == nil {
			c, err := net.Dial("unix", socket)
			if err != nil {
				return err
			}
			s = &profile.Sampler{Monitor: &vmm.Monitor{ReadWriteCloser: c}, Symbols: p.symbols, Scratch: filepath.Join(p.dir, "stack")}
		}
		samples, err := p.sample(s)
		tell(g, what, samples)
		p.samples = append(p.samples, samples...)
		return err
	})
}

// sample looks again and again, not in step with anything.
func (p *profiler) sample(s *profile.Sampler) (samples []profile.Sample, err error) {
	for begin := time.Now(); time.Since(begin) < p.each; {
		time.Sleep(2*time.Millisecond + rand.N(4*time.Millisecond))
		sample, err := s.Look()
		if err != nil {
			return samples, err
		}
		samples = append(samples, sample)
	}
	return samples, nil
}

// tell prints what the CPU did under a load.
func tell(g guest.Guest, what string, samples []profile.Sample) {
	var n [3]float64
	for _, s := range samples {
		n[s.Where]++
	}
	percent := 100 / max(1, float64(len(samples)))
	fmt.Printf("%-20s %-10s %5d samples: kernel %2.0f %%, program %2.0f %%, idle %2.0f %%\n", g.Machine.Name, what, len(samples),
		n[profile.Kernel]*percent, n[profile.User]*percent, n[profile.Idle]*percent)
}

// write writes the samples of the kernel.
func (p *profiler) write() error {
	p.samples = slices.DeleteFunc(p.samples, func(s profile.Sample) bool { return s.Where != profile.Kernel })
	if len(p.samples) == 0 {
		return errors.New("the kernel was never seen at work")
	}
	f, err := os.Create(p.out)
	if err != nil {
		return err
	}
	if err := errors.Join(profile.Write(f, p.samples, p.symbols), f.Close()); err != nil {
		return err
	}
	fmt.Printf("%s: %d stacks; look at them with: go tool pprof -top %s\n", p.out, len(p.samples), p.out)
	return nil
}
