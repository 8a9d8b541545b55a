package tsharkcheck

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Difference is one thing that the dump and tshark don't agree on.
type Difference struct {
	Line   uint64 // number in the dump; 0 if the dump lacks the packet
	Packet int    // number in the capture, from 1; 0 if the capture lacks the packet
	Field  string // "" if one of them lacks the packet
	Dump   string // what the dump says; for a packet that the capture lacks, what it is
	Tshark string // what tshark says; for a packet that the dump lacks, what it is
}

// Missing tells whether the dump lacks the packet.
func (d Difference) Missing() bool { return d.Line == 0 }

// Extra tells whether the capture lacks the packet.
func (d Difference) Extra() bool { return d.Packet == 0 }

// String says what differs.
func (d Difference) String() string {
	switch {
	case d.Missing():
		return fmt.Sprintf("packet %d is not in the dump: %s", d.Packet, d.Tshark)
	case d.Extra():
		return fmt.Sprintf("line #%d is not in the capture: %s", d.Line, d.Dump)
	}
	return fmt.Sprintf("line #%d, packet %d: %s is %q, tshark says %q", d.Line, d.Packet, d.Field, d.Dump, d.Tshark)
}

// Compare compares the dump of a run with a capture of the same run by someone else, packet by packet, with tshark as the
// authority. Text between the packets' lines is passed over. Received and sent packets are compared each in their own
// order, because the two captures stand at different places of the wire. Of a packet sent the capture may have the
// padding that the card added; packets that the driver dropped before sending need not be in it. If the dump says that N
// packets are not shown, N may be missing.
func Compare(dump io.Reader, pcapPath string) ([]Difference, error) {
	packets, err := Read(pcapPath)
	if err != nil {
		return nil, err
	}
	return CompareFacts(dump, packets)
}

// CompareFacts is Compare with what Read has returned.
func CompareFacts(dump io.Reader, packets []Facts) ([]Difference, error) {
	lines, notShown, err := ReadDump(dump)
	if err != nil {
		return nil, err
	}
	card := cardAddress(lines)
	var diffs []Difference
	for _, sent := range []bool{false, true} {
		var a, b []entry
		for _, l := range lines {
			if l.Sent == sent && !(sent && l.Dropped) {
				a = append(a, newEntry(int(l.Number), l.Facts, sent))
			}
		}
		for i, f := range packets {
			if (f["eth.src"] == card) == sent {
				b = append(b, newEntry(i+1, f, sent))
			}
		}
		diffs = align(diffs, a, b)
	}
	missing := 0
	for _, d := range diffs {
		if d.Missing() {
			missing++
		}
	}
	if missing <= notShown {
		diffs = slices.DeleteFunc(diffs, Difference.Missing)
	}
	return diffs, nil
}

// ReadDump reads the lines of a dump, and how many packets it says are not shown.
func ReadDump(dump io.Reader) (lines []Line, notShown int, err error) {
	s := bufio.NewScanner(dump)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if l, ok := ParseLine(s.Text()); ok {
			lines = append(lines, l)
		} else if m := gapForm.FindStringSubmatch(s.Text()); m != nil {
			n, _ := strconv.Atoi(m[1])
			notShown += n
		}
	}
	return lines, notShown, s.Err()
}

// cardAddress finds out the address of the card: it sends from it.
func cardAddress(lines []Line) string {
	for _, l := range lines {
		if l.Sent && l.Facts["eth.src"] != "" {
			return l.Facts["eth.src"]
		}
	}
	return ""
}

// CompareSame compares a dump with the capture that it was made from: line number n with packet n.
func CompareSame(dump io.Reader, pcapPath string) ([]Difference, error) {
	packets, err := Read(pcapPath)
	if err != nil {
		return nil, err
	}
	lines, _, err := ReadDump(dump)
	if err != nil {
		return nil, err
	}
	var diffs []Difference
	for i := range max(len(lines), len(packets)) {
		switch {
		case i >= len(lines):
			diffs = append(diffs, Difference{Packet: i + 1, Tshark: packets[i].String()})
		case i >= len(packets) || lines[i].Number != uint64(i+1):
			diffs = append(diffs, Difference{Line: lines[i].Number, Dump: lines[i].Facts.String()})
		default:
			diffs = Diff(diffs, i+1, lines[i].Facts, i+1, packets[i])
		}
	}
	return diffs, nil
}
