package tsharkcheck

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// entry is a packet of either side.
type entry struct {
	n     int // its number there
	facts Facts
	key   string // what makes it this packet and no other
}

// identity are the facts that make a packet this one and no other, as far as they can.
var identity = []string{"wire", "net", "src", "dst", "proto", "sport", "dport", "seq", "ack", "flags", "win", "ts", "len", "frag", "id",
	"icmp.type", "icmp.id", "icmp.seq", "target", "arp.op", "arp.sender"}

// minFrame is what a short frame is padded to, in bytes.
const minFrame = 60

func newEntry(n int, f Facts, sent bool) entry {
	if wire, err := strconv.Atoi(f["wire"]); sent && err == nil && wire < minFrame {
		f = maps.Clone(f)
		f["wire"] = strconv.Itoa(minFrame)
	}
	var key strings.Builder
	for _, name := range identity {
		key.WriteString(f[name])
		key.WriteByte(' ')
	}
	return entry{n, f, key.String()}
}

// align pairs the entries of dump a and capture b in the order of both, and appends what differs. The pairs are first
// the longest rising sequence of packets that each side has once, then, between those, as many as can be.
func align(diffs []Difference, a, b []entry) []Difference {
	i, j := 0, 0
	for _, anchor := range append(anchors(a, b), [2]int{len(a), len(b)}) {
		diffs = alignGap(diffs, a[i:anchor[0]], b[j:anchor[1]])
		i, j = anchor[0], anchor[1]
		if i < len(a) {
			diffs = Diff(diffs, a[i].n, a[i].facts, b[j].n, b[j].facts)
			i, j = i+1, j+1
		}
	}
	return diffs
}

// anchors returns the longest sequence of index pairs, rising on both sides, of keys that each side has once.
func anchors(a, b []entry) [][2]int {
	countA, countB, at := map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range a {
		countA[e.key]++
	}
	for j, e := range b {
		countB[e.key]++
		at[e.key] = j
	}
	type node struct{ i, j, before int } // before: index into nodes, -1 for none
	var nodes []node
	var tails []int // tails[n]: the node with the least j that ends a sequence of n+1
	for i, e := range a {
		if countA[e.key] != 1 || countB[e.key] != 1 {
			continue
		}
		j := at[e.key]
		n, _ := slices.BinarySearchFunc(tails, j, func(t, j int) int { return nodes[t].j - j })
		before := -1
		if n > 0 {
			before = tails[n-1]
		}
		nodes = append(nodes, node{i, j, before})
		if n == len(tails) {
			tails = append(tails, 0)
		}
		tails[n] = len(nodes) - 1
	}
	var pairs [][2]int
	if len(tails) > 0 {
		for n := tails[len(tails)-1]; n >= 0; n = nodes[n].before {
			pairs = append(pairs, [2]int{nodes[n].i, nodes[n].j})
		}
	}
	slices.Reverse(pairs)
	return pairs
}

// maxTable bounds the table by which a gap is aligned.
const maxTable = 16 << 20

// alignGap pairs as many entries with the same key as can be. What is left between two pairs is taken for the same
// packets as long as both sides have some.
func alignGap(diffs []Difference, a, b []entry) []Difference {
	if len(a) == 0 || len(b) == 0 || len(a)*len(b) > maxTable {
		return leftOver(diffs, a, b)
	}
	width := len(b) + 1
	longest := make([]int32, (len(a)+1)*width) // [i][j]: pairs that a[i:] and b[j:] can make
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i].key == b[j].key {
				longest[i*width+j] = longest[(i+1)*width+j+1] + 1
			} else {
				longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
			}
		}
	}
	i, j, fromA, fromB := 0, 0, 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i].key == b[j].key:
			diffs = leftOver(diffs, a[fromA:i], b[fromB:j])
			diffs = Diff(diffs, a[i].n, a[i].facts, b[j].n, b[j].facts)
			i, j = i+1, j+1
			fromA, fromB = i, j
		case longest[(i+1)*width+j] >= longest[i*width+j+1]:
			i++
		default:
			j++
		}
	}
	return leftOver(diffs, a[fromA:], b[fromB:])
}

// leftOver reports entries of which none is the same as one of the other side.
func leftOver(diffs []Difference, a, b []entry) []Difference {
	if len(a) == len(b) {
		for i := range a {
			diffs = Diff(diffs, a[i].n, a[i].facts, b[i].n, b[i].facts)
		}
		return diffs
	}
	for _, e := range a {
		diffs = append(diffs, Difference{Line: uint64(e.n), Dump: e.facts.String()})
	}
	for _, e := range b {
		diffs = append(diffs, Difference{Packet: e.n, Tshark: e.facts.String()})
	}
	return diffs
}

// String lists the facts, sorted by name.
func (f Facts) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(&b, " %s=%s", name, f[name])
	}
	return strings.TrimPrefix(b.String(), " ")
}

// Diff appends what the facts of one packet differ in.
func Diff(diffs []Difference, line int, dump Facts, packet int, tshark Facts) []Difference {
	names := maps.Clone(dump)
	maps.Copy(names, tshark)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := dump[name], tshark[name]; a != b && !unsaid(name, dump, tshark) {
			diffs = append(diffs, Difference{uint64(line), packet, name, a, b})
		}
	}
	return diffs
}

// unsaid tells whether one side says nothing of a fact for a good reason.
func unsaid(name string, dump, tshark Facts) bool {
	switch name {
	case "len": // of a first fragment tshark gives the length of the whole datagram
		return dump["frag"] != ""
	case "mss", "ws", "ts": // an option may be cut off
		return dump[name] == "" && dump["cut"] != ""
	case "cut":
		return true
	case "scaled": // the SYN may not be in the dump
		return dump[name] == ""
	case "arp.target": // the line of a reply doesn't say whom it is for
		return dump[name] == ""
	case "arp.sender": // that of reverse ARP doesn't say what the sender's protocol address is, which it needn't know
		return dump[name] == "" && (dump["arp.op"] == "3" || dump["arp.op"] == "4")
	case "ck": // left to the card
		return dump[name] == "offload" || dump[name] == "hw-ok"
	case "want":
		return dump["ck"] == "offload" || dump["ck"] == "hw-ok" || tshark[name] == ""
	case "hdr-ck", "hdr-want": // tshark calls a checksum of 0 bad
		return dump["hdr-ck"] == "none" || dump["hdr-ck"] == "offload"
	}
	return false
}
