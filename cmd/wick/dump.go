package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"wick/packet"
	"wick/packet/dump"
	"wick/packet/filter"
)

// dumpFlags are the flags of wick dump.
type dumpFlags struct {
	follow, full, hex, relative bool
	json, stats, print          bool
	count                       uint64
	write, iface, color         string
}

func newDump() *cobra.Command {
	f := new(dumpFlags)
	cmd := &cobra.Command{
		Use:   "dump [flags] [FILE [FILTER…]]",
		Short: "Print a packet capture in words",
		Long: `Dump prints the packets of a capture, pcap or pcapng, compressed by gzip or not: a line for each, as wick run --dump
does. FILE is - for standard input, which is also read without FILE unless it is a terminal. What is wrong with a packet is marked with an exclamation mark.

FILTER is an expression in the syntax of tcpdump: tcp and port 80, host 10.0.2.2, net 10.0.0.0/8, not arp,
'tcp[tcpflags] & tcp-rst != 0', vlan 5, less 100. Besides, ifname NAME, inbound, outbound and vsock.

A damaged file gives what can be read of it, then one line that says what is wrong, and exit status 125.

Ctrl-C ends it in good order: statistics are printed, the file of --write is complete. Colours are used on a terminal,
unless NO_COLOR is set.`,
		Example: `  wick dump out.pcapng                           a line for each packet
  wick dump -f --relative out.pcapng tcp port 80 while it grows
  wick dump --stats out.pcapng                   conversations, retransmissions, round-trip times, drops
  wick dump -c 1 --full out.pcapng icmp          the first ping with all fields and bytes
  wick dump --json out.pcapng | jq .tcp.seq
  wick dump -w e0.pcap -i e0 out.pcapng          one interface, in a format that tcpdump reads
  ssh host tcpdump -U -w - | wick dump -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && term.IsTerminal(int(os.Stdin.Fd())) {
				return fmt.Errorf("which file? wick dump [flags] FILE [FILTER…], - for standard input (see `%s --help`)", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.count == 0 && cmd.Flags().Changed("count") {
				return errors.New("--count: 0 packets are none to stop after; without it all are printed")
			}
			if len(args) == 0 {
				return f.run("-", "")
			}
			return f.run(args[0], strings.Join(args[1:], " "))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&f.follow, "follow", "f", false, "wait for more at the end of the file")
	flags.BoolVar(&f.full, "full", false, "print all fields of each layer, and all bytes")
	flags.BoolVar(&f.hex, "hex", false, "print all bytes")
	flags.BoolVar(&f.json, "json", false, "print an object a packet, on a line each")
	flags.BoolVar(&f.stats, "stats", false, "print statistics instead of packets")
	flags.Uint64VarP(&f.count, "count", "c", 0, "stop after `N` packets")
	flags.StringVarP(&f.iface, "interface", "i", "", "only packets of the interface `NAME`")
	flags.BoolVar(&f.relative, "relative", false, "count TCP's sequence numbers from 0")
	flags.StringVarP(&f.write, "write", "w", "", "write the packets to `FILE` instead of printing them: pcapng, or pcap if it is named so, compressed if .gz follows; - for standard output")
	flags.BoolVar(&f.print, "print", false, "print the packets though they are written")
	flags.StringVar(&f.color, "color", "auto", "use colours: `WHEN` is auto, always or never")
	return cmd
}

// run dumps a file.
func (f *dumpFlags) run(path, expression string) error {
	options, err := f.options(expression)
	if err != nil {
		return err
	}
	file := os.Stdin
	if path != "-" {
		if file, err = os.Open(path); err != nil {
			return err
		}
		defer file.Close()
	}
	out, err := f.output(file)
	if err != nil {
		return err
	}
	if out != nil {
		options.Write = out
	}
	stop, err := newStop()
	if err != nil {
		return err
	}
	err = dump.Run(stop.reader(file, f.follow && path != "-"), os.Stdout, options)
	if out != nil {
		if closing := out.close(); err == nil {
			err = closing
		}
	}
	if err == nil || stop.stopped() && dump.ErrDamaged(err) { // it was cut by us
		return nil
	}
	if errors.Is(err, dump.ErrLinks) {
		err = fmt.Errorf("%w; --interface selects one, and files not named .pcap take all", err)
	}
	var other *fs.PathError
	if errors.As(err, &other) && other.Path != path { // it names another file, which was to be written
		return err
	}
	if other != nil && err == error(other) { // "path: read path: …"
		err = other.Err
	}
	if path == "-" {
		path = "standard input"
	}
	return fmt.Errorf("%s: %w", path, err)
}

// options checks the flags and translates them.
func (f *dumpFlags) options(expression string) (*dump.Options, error) {
	o := &dump.Options{JSON: f.json, Stats: f.stats, Count: f.count, Interface: f.iface, Relative: f.relative}
	forms := 0
	for _, set := range []bool{f.full, f.hex, f.json} {
		if set {
			forms++
		}
	}
	switch {
	case forms > 1:
		return nil, errors.New("--full, --hex and --json exclude each other")
	case f.stats && (f.full || f.hex):
		return nil, errors.New("--stats prints no packets, so --full and --hex mean nothing")
	case forms > 0 && f.write != "" && !f.print:
		return nil, errors.New("--full, --hex and --json are for packets that are printed: with --write, --print does so")
	case f.print && f.write == "":
		return nil, errors.New("--print is for --write; without it packets are printed anyway")
	case f.print && f.stats:
		return nil, errors.New("--stats and --print exclude each other")
	case f.write == "-" && (f.print || f.stats):
		return nil, errors.New("--write - leaves no room on standard output for text")
	case f.full:
		o.Mode = packet.Full
	case f.hex:
		o.Mode = packet.Hex
	}
	o.Silent = f.write != "" && !f.print
	o.Classic = strings.HasSuffix(strings.TrimSuffix(f.write, gzipSuffix), ".pcap")
	switch f.color {
	case "always":
		o.Color = true
	case "auto":
		o.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(os.Stdout.Fd())) // https://no-color.org
	case "never":
	default:
		return nil, fmt.Errorf("--color: %q is not one of auto, always, never", f.color)
	}
	var err error
	o.Filter, err = filter.Parse(expression)
	return o, err
}

// output returns the file to write to, nil if there is none. It must not be the one that is read.
func (f *dumpFlags) output(in *os.File) (*outputFile, error) {
	switch f.write {
	case "":
		return nil, nil
	case "-":
		if term.IsTerminal(int(os.Stdout.Fd())) {
			return nil, errors.New("--write -: a capture is nothing for a terminal")
		}
		return &outputFile{file: os.Stdout}, nil
	}
	from, err1 := in.Stat()
	to, err2 := os.Stat(f.write)
	if err1 == nil && err2 == nil && os.SameFile(from, to) {
		return nil, fmt.Errorf("--write: %s is the file that is read", f.write)
	}
	return &outputFile{path: f.write}, nil
}

// gzipSuffix ends the names of files that are compressed.
const gzipSuffix = ".gz"

// outputFile is created when something is written to it: not if what is read is no capture.
type outputFile struct {
	path string
	file *os.File
	zip  *gzip.Writer // nil if it isn't compressed
}

func (o *outputFile) Write(b []byte) (int, error) {
	if o.file == nil {
		var err error
		if o.file, err = os.Create(o.path); err != nil {
			return 0, fmt.Errorf("--write: %w", err)
		}
		if strings.HasSuffix(o.path, gzipSuffix) {
			o.zip = gzip.NewWriter(o.file)
		}
	}
	if o.zip == nil {
		return o.file.Write(b)
	}
	n, err := o.zip.Write(b)
	if err == nil {
		err = o.zip.Flush() // others may read it as it grows
	}
	return n, err
}

func (o *outputFile) close() (err error) {
	if o.file == nil || o.path == "" {
		return nil
	}
	if o.zip != nil {
		err = o.zip.Close()
	}
	if closing := o.file.Close(); err == nil {
		err = closing
	}
	return err
}

// stop ends the reading at the first SIGINT or SIGTERM. The second does what signals do.
type stop struct {
	done chan struct{}
	pipe *os.File // can be read from when done is closed
}

func newStop() (*stop, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &stop{make(chan struct{}), r}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		close(s.done)
		w.Close()
	}()
	return s, nil
}

func (s *stop) stopped() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}
