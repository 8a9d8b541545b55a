// Bench measures wick beside Linux, in the same machine with the same program; see docs/performance.md. `make bench` runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"wick/bench/guest"
	"wick/bench/measure"
	"wick/bench/report"
	"wick/vmm"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds   int
	only     string
	kernels  string
	cpus     string
	machines string
	tiny     bool
	extra    kernelFiles
	quiet    float64
	patience time.Duration
	work     string
	out      string
	from     string
}

// kernelFiles are more images of wick's kernel, NAME=FILE.
type kernelFiles []struct{ name, file string }

// String implements flag.Value, as does Set.
func (k *kernelFiles) String() string { return fmt.Sprint(len(*k)) }

func (k *kernelFiles) Set(s string) error {
	name, file, found := strings.Cut(s, "=")
	if !found || name == "" || slices.Contains([]string{"wick", "debian", "tiny"}, name) {
		return errors.New("want NAME=FILE, with a name of its own")
	}
	*k = append(*k, struct{ name, file string }{name, file})
	return nil
}

func parse() (*options, error) {
	o := new(options)
	flag.IntVar(&o.rounds, "rounds", 10, "how often to measure each guest")
	flag.StringVar(&o.only, "only", "boot,udp,tcp,http,vsock,micro,memory,size", "what to measure")
	flag.StringVar(&o.kernels, "kernels", "wick,debian", "kernels to measure")
	flag.StringVar(&o.cpus, "cpus", "1,2", "numbers of CPUs")
	flag.StringVar(&o.machines, "machines", strings.Join(machineNames(), ","), "machines to measure on")
	flag.BoolVar(&o.tiny, "tiny", false, "measure a tuned small Linux too, and compile it if that has not been done")
	flag.Var(&o.extra, "wick-kernel", "another image of wick's kernel to measure, as `NAME=FILE`; may be given again")
	flag.Float64Var(&o.quiet, "quiet", 0, "wait before each measurement until others use at most so many `percent` of all CPUs")
	flag.DurationVar(&o.patience, "patience", 20*time.Second, "how long to wait for quiet at most")
	flag.StringVar(&o.work, "work", "out/bench", "`folder` of the guests' files and of results.json")
	flag.StringVar(&o.out, "out", "out/bench", "`folder` to write performance.md and its plots to")
	flag.StringVar(&o.from, "from", "", "measure nothing: write the document from the results in `FILE`")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.rounds < 1 || o.rounds > 1000 {
		return nil, fmt.Errorf("-rounds: %d is not between 1 and 1000", o.rounds)
	}
	return o, nil
}

func run() error {
	o, err := parse()
	if err != nil {
		return err
	}
	if o.from != "" {
		results, err := report.Load(o.from)
		if err != nil {
			return err
		}
		return results.Write(o.out)
	}
	groups, err := o.groups()
	if err != nil {
		return err
	}
	qemu, err := vmm.FindQEMU()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.work, 0o777); err != nil {
		return err
	}
	guests, err := o.guests()
	if err != nil {
		return err
	}
	results := &report.Results{Date: time.Now(), Rounds: o.rounds}
	if results.Host, err = hostInfo(qemu); err != nil {
		return err
	}
	for _, g := range guests {
		results.Guests = append(results.Guests, report.Guest{Name: g.Name, What: g.What, Machine: g.Machine.Name, CPUs: g.CPUs})
	}
	m := &measure.Options{
		QEMU: qemu, Groups: groups, Quiet: measure.Quiet{Percent: o.quiet, Patience: o.patience},
		Record: func(r measure.Record) {
			tell(&r)
			results.Records = append(results.Records, r)
		},
	}
	return o.measure(m, guests, results)
}

// measure measures all guests in turn, round by round, and writes what has come out.
func (o *options) measure(m *measure.Options, guests []guest.Guest, results *report.Results) error {
	file := filepath.Join(o.work, "results.json")
	begin := time.Now()
	for _, g := range guests {
		if g.CPUs == guests[0].CPUs { // memory and size hardly depend on the CPUs
			m.Once(g)
		}
	}
	for round := 1; round <= o.rounds; round++ {
		fmt.Printf("== round %d of %d, after %v\n", round, o.rounds, time.Since(begin).Round(time.Second))
		for i := range guests {
			// Each round begins with another guest, so that none always comes behind the same.
			m.Round(guests[(i+round-1)%len(guests)], round)
		}
		if err := results.Save(file); err != nil {
			return err
		}
	}
	if err := results.Save(file); err != nil {
		return err
	}
	if err := results.Write(o.out); err != nil {
		return err
	}
	fmt.Printf("== %s, after %v\n", filepath.Join(o.out, "performance.md"), time.Since(begin).Round(time.Second))
	failed := 0
	for _, r := range results.Records {
		if r.Error != "" {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d measurements failed", failed, len(results.Records))
	}
	return nil
}

func tell(r *measure.Record) {
	fmt.Printf("%s on %s/%d %s:", r.Guest, r.Machine, r.CPUs, r.What)
	names := make([]string, 0, len(r.Values))
	for name := range r.Values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Printf(" %s %.4g", name, r.Values[name])
	}
	if r.Error != "" {
		fmt.Printf(" FAILED: %s\n", r.Error)
		return
	}
	fmt.Printf(" (noise %.0f %%)\n", r.Noise.Sum())
}

func (o *options) groups() (map[string]bool, error) {
	groups := make(map[string]bool)
	for name := range strings.SplitSeq(o.only, ",") {
		if _, known := measure.Groups[name]; !known {
			return nil, fmt.Errorf("-only: %q is nothing that can be measured", name)
		}
		groups[name] = true
	}
	return groups, nil
}

// hostInfo says what the host is.
func hostInfo(qemu string) (map[string]string, error) {
	version, err := vmm.QEMUVersion(qemu)
	if err != nil {
		return nil, err
	}
	h := map[string]string{
		"QEMU": version + ", without KVM", "Go": runtime.Version(),
		"CPUs": fmt.Sprint(runtime.NumCPU()),
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		h["Host's kernel"] = strings.TrimSpace(string(release))
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
				h["CPU"] = strings.TrimSpace(value)
				break
			}
		}
	}
	return h, nil
}
