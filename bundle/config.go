// Package bundle is the format of the initial RAM disk that wick hands to its kernel: the
// configuration of the run and the initial file system, uncompressed and page-aligned so that the
// program's pages can be mapped in place.
package bundle

import "time"

// Config says what to run and how. The zero value of a field means the kernel's default.
type Config struct {
	Args []string // argv of the program; Args[0] is its name
	Env  []string // K=V
	Path string   // the program's path in the initial file system
	Cwd  string   // "/" if empty

	Terminal [3]bool // whether descriptors 0, 1, 2 are terminals of the host
	Rows     uint16  // size of the terminal
	Columns  uint16

	Address string // IPv4 address of the card with prefix length, "10.0.2.15/24"; empty: ask by DHCP
	Gateway string
	DNS     string
	Host    string // host name

	Dump    string // "", "line" or "full"
	Capture bool   // send a capture of the card to the host
	SnapLen uint32 // bytes that the capture keeps of each packet; 0: all
	Verbose bool   // kernel log, unimplemented system calls by name
	Timing  bool   // the host wants to know how long the boot takes

	FixedAddresses bool // no address-space randomisation

	Seed []byte    // 32 fresh random bytes; never in a built image
	Now  time.Time // wall clock at the start; zero: read the real-time clock
}
