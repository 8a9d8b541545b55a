// Package tsharkcheck compares packet dumps with what tshark says of the same packets. It serves tests.
package tsharkcheck

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Facts are what is known of one packet: names and values in the words of the dump.
type Facts map[string]string

// Need skips the test if there is no tshark. With WICK_REQUIRE_TSHARK=1 in the environment it fails instead.
func Need(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err == nil {
		return
	}
	if os.Getenv("WICK_REQUIRE_TSHARK") == "1" {
		t.Fatal("tshark is not installed, and WICK_REQUIRE_TSHARK=1 asks for it: apt-get install tshark")
	}
	t.Skip("tshark is not installed: apt-get install tshark")
}

// fields are asked of tshark, in this order.
var fields = []string{
	"frame.len", "frame.protocols", "eth.src", "eth.dst", "vlan.id",
	"arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.proto_ipv4",
	"ip.src", "ip.dst", "ip.ttl", "ip.proto", "ip.id", "ip.flags.df", "ip.flags.mf", "ip.frag_offset",
	"ip.checksum.status", "ip.checksum_calculated",
	"ipv6.src", "ipv6.dst", "ipv6.hlim", "ipv6.fraghdr.offset", "ipv6.fraghdr.ident",
	"udp.srcport", "udp.dstport", "udp.length", "udp.checksum.status", "udp.checksum_calculated",
	"tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value", "tcp.window_size", "tcp.len",
	"tcp.checksum", "tcp.checksum.status", "tcp.checksum_calculated",
	"tcp.options.mss_val", "tcp.options.wscale.shift", "tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr",
	"icmp.type", "icmp.code", "icmp.ident", "icmp.seq", "icmp.checksum.status",
	"icmpv6.type", "icmpv6.code", "icmpv6.echo.identifier", "icmpv6.echo.sequence_number", "icmpv6.checksum.status",
	"vsock.src_cid", "vsock.dst_cid", "vsock.src_port", "vsock.dst_port",
	"vsock.virtio.src_cid", "vsock.virtio.dst_cid", "vsock.virtio.src_prot", "vsock.virtio.dst_prot", "vsock.virtio.type", "vsock.virtio.op",
	"vsock.trans", "vsock.virtio.len", "vsock.virtio.buf_alloc", "vsock.virtio.fwd_cnt",
	"icmpv6.nd.ns.target_address", "icmpv6.nd.na.target_address", "icmpv6.nd.rd.target_address",
}

// preferences make tshark judge every checksum, and each packet by itself.
var preferences = []string{
	"ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE",
	"ip.defragment:FALSE", "ipv6.defragment:FALSE", "tcp.desegment_tcp_streams:FALSE", "tcp.relative_sequence_numbers:FALSE",
}

// Read returns what tshark knows of each packet of a capture.
func Read(pcapPath string) ([]Facts, error) {
	args := []string{"-n", "-r", pcapPath, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=f"}
	for _, p := range preferences {
		args = append(args, "-o", p)
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("tshark", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
		return nil, fmt.Errorf("tshark -r %s: %w: %s", pcapPath, err, bytes.TrimSpace(stderr.Bytes()))
	}
	var all []Facts
	for row := range strings.Lines(string(out)) {
		values := strings.Split(strings.TrimRight(row, "\n"), "\t")
		if len(values) != len(fields) {
			return nil, fmt.Errorf("tshark -r %s: row %d has %d fields, want %d", pcapPath, len(all)+1, len(values), len(fields))
		}
		raw := make(map[string]string, len(fields))
		for i, v := range values {
			if v != "" {
				raw[fields[i]] = v
			}
		}
		all = append(all, translate(raw))
	}
	return all, nil
}

// translate puts tshark's fields into the words of the dump.
func translate(raw map[string]string) Facts {
	f := Facts{}
	f.copy(raw, "wire", "frame.len")
	f.copy(raw, "eth.src", "eth.src")
	f.copy(raw, "eth.dst", "eth.dst")
	f.copy(raw, "vlan", "vlan.id")
	switch network(raw["frame.protocols"]) {
	case "arp":
		f["net"] = "ARP"
		f.copy(raw, "arp.op", "arp.opcode")
		f.copy(raw, "arp.sender", "arp.src.proto_ipv4")
		f.copy(raw, "arp.target", "arp.dst.proto_ipv4")
	case "vsock":
		translateVsock(f, raw)
	case "ip":
		f["net"] = "IPv4"
		translateIPv4(f, raw)
	case "ipv6":
		f["net"] = "IPv6"
		f.copy(raw, "src", "ipv6.src")
		f.copy(raw, "dst", "ipv6.dst")
		f.copy(raw, "ttl", "ipv6.hlim")
		if raw["ipv6.fraghdr.offset"] != "" {
			f.fragment(raw["ipv6.fraghdr.offset"], raw["ipv6.fraghdr.ident"])
		}
		translateTransport(f, raw)
	}
	return f
}

// vsockMonSize is the length of the header that captures have before vsock packets, which tshark counts in, in bytes.
const vsockMonSize = 32

func translateVsock(f Facts, raw map[string]string) {
	f["net"] = "vsock"
	if n, err := strconv.Atoi(raw["frame.len"]); err == nil && raw["vsock.trans"] == "2" {
		f["wire"] = strconv.Itoa(n - vsockMonSize)
	}
	if raw["vsock.virtio.fwd_cnt"] == "" { // another transport, or a short header
		f.copy(raw, "src", "vsock.src_cid")
		f.copy(raw, "dst", "vsock.dst_cid")
		f.copy(raw, "sport", "vsock.src_port")
		f.copy(raw, "dport", "vsock.dst_port")
		return
	}
	f.copy(raw, "src", "vsock.virtio.src_cid")
	f.copy(raw, "dst", "vsock.virtio.dst_cid")
	f.copy(raw, "sport", "vsock.virtio.src_prot")
	f.copy(raw, "dport", "vsock.virtio.dst_prot")
	f.copy(raw, "vsock.type", "vsock.virtio.type")
	f.copy(raw, "vsock.op", "vsock.virtio.op")
	f.copy(raw, "len", "vsock.virtio.len")
	f.copy(raw, "buf_alloc", "vsock.virtio.buf_alloc")
	f.copy(raw, "fwd_cnt", "vsock.virtio.fwd_cnt")
}

func translateIPv4(f Facts, raw map[string]string) {
	f.copy(raw, "src", "ip.src")
	f.copy(raw, "dst", "ip.dst")
	f.copy(raw, "ttl", "ip.ttl")
	if v := raw["ip.flags.df"]; v == "1" || v == "True" {
		f["DF"] = "set"
	}
	mf := raw["ip.flags.mf"] == "1" || raw["ip.flags.mf"] == "True"
	if mf || raw["ip.frag_offset"] != "0" {
		f.fragment(raw["ip.frag_offset"], raw["ip.id"])
	}
	if raw["ip.checksum.status"] == "0" {
		f["hdr-ck"] = "bad"
		f.copy(raw, "hdr-want", "ip.checksum_calculated")
	}
	translateTransport(f, raw)
}

// translateTransport takes the fields of the transport that stands right above IP; an ICMP error quotes others.
func translateTransport(f Facts, raw map[string]string) {
	switch {
	case raw["icmp.type"] != "":
		f["proto"] = "ICMP"
		f.copy(raw, "icmp.type", "icmp.type")
		f.copy(raw, "icmp.code", "icmp.code")
		switch raw["icmp.type"] {
		case "0", "8":
			f.number("icmp.id", raw["icmp.ident"], 0)
			f.number("icmp.seq", raw["icmp.seq"], 0)
		}
		f.verdict(raw["icmp.checksum.status"], "")
	case raw["icmpv6.type"] != "":
		f["proto"] = "ICMPv6"
		f.copy(raw, "icmp.type", "icmpv6.type")
		f.copy(raw, "icmp.code", "icmpv6.code")
		f.number("icmp.id", raw["icmpv6.echo.identifier"], 0)
		f.number("icmp.seq", raw["icmpv6.echo.sequence_number"], 0)
		f.copy(raw, "target", "icmpv6.nd.ns.target_address")
		f.copy(raw, "target", "icmpv6.nd.na.target_address")
		f.copy(raw, "target", "icmpv6.nd.rd.target_address")
		f.verdict(raw["icmpv6.checksum.status"], "")
	case raw["udp.srcport"] != "":
		f["proto"] = "UDP"
		f.copy(raw, "sport", "udp.srcport")
		f.copy(raw, "dport", "udp.dstport")
		f.number("len", raw["udp.length"], -8)
		f.verdict(raw["udp.checksum.status"], raw["udp.checksum_calculated"])
	case raw["tcp.srcport"] != "":
		f["proto"] = "TCP"
		f.copy(raw, "sport", "tcp.srcport")
		f.copy(raw, "dport", "tcp.dstport")
		f.copy(raw, "seq", "tcp.seq_raw")
		f.copy(raw, "win", "tcp.window_size_value")
		if v := raw["tcp.window_size"]; v != raw["tcp.window_size_value"] {
			f["scaled"] = v
		}
		f.copy(raw, "len", "tcp.len")
		f.copy(raw, "mss", "tcp.options.mss_val")
		f.copy(raw, "ws", "tcp.options.wscale.shift")
		if v := raw["tcp.options.timestamp.tsval"]; v != "" {
			f["ts"] = v + "/" + raw["tcp.options.timestamp.tsecr"]
		}
		f["flags"] = tcpFlags(raw["tcp.flags"])
		if strings.Contains(f["flags"], ".") {
			f.copy(raw, "ack", "tcp.ack_raw")
		}
		status, want := raw["tcp.checksum.status"], raw["tcp.checksum_calculated"]
		// The other zero of ones' complement, which QEMU's E1000 writes when it fills checksums in: receivers take it,
		// tshark alone calls it bad [RFC 1624 3].
		if raw["tcp.checksum"] == "0xffff" && want == "0x0000" {
			status, want = "1", ""
		}
		f.verdict(status, want)
	}
}

// network returns the first network protocol of a list such as eth:ethertype:ip:udp.
func network(protocols string) string {
	for p := range strings.SplitSeq(protocols, ":") {
		switch p {
		case "arp", "ip", "ipv6", "vsock":
			return p
		}
	}
	return ""
}

// fragment takes the place of a fragment, which tshark counts in units of 8 bytes.
func (f Facts) fragment(offset, id string) {
	n, err := strconv.Atoi(offset)
	if err != nil {
		f["frag"] = offset
		return
	}
	f["frag"] = strconv.Itoa(8 * n)
	f["id"] = id
}

// copy takes a field as it is, if it is there.
func (f Facts) copy(raw map[string]string, name, field string) {
	if v := raw[field]; v != "" {
		f[name] = v
	}
}

// number takes a field in any base and adds to it, if it is there.
func (f Facts) number(name, value string, add int64) {
	if value == "" {
		return
	}
	n, err := strconv.ParseInt(value, 0, 64)
	if err != nil {
		f[name] = value
		return
	}
	f[name] = strconv.FormatInt(n+add, 10)
}

// verdict translates the status of a checksum, and what it should have been.
func (f Facts) verdict(status, want string) {
	switch status {
	case "0":
		f["ck"] = "bad"
		if want != "" {
			f["want"] = want
		}
	case "1":
		f["ck"] = "ok"
	case "2":
		f["ck"] = "unchecked"
	case "3":
		f["ck"] = "none"
	}
}

// tcpFlags puts tshark's number into letters.
func tcpFlags(hex string) string {
	n, err := strconv.ParseUint(hex, 0, 16)
	if err != nil {
		return hex
	}
	letters := ""
	for i, c := range "FSRP.UEWe" {
		if n&(1<<i) != 0 {
			letters += string(c)
		}
	}
	if letters == "" {
		return "[none]"
	}
	return "[" + letters + "]"
}
