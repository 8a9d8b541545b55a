package vm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wick/packet"
	"wick/packet/dump"
	"wick/test/programs"
)

// offloadTests are tests that need a network of their own, which only the guest of TestKVM has.
const offloadTests = "^TestOffloads$"

// TestOffloads has a machine whose network card is on a TAP interface: there QEMU offers what it doesn't with user networking, that
// checksums and the segmentation of TCP are left to the card, both ways. At the other end is Linux.
func TestOffloads(t *testing.T) {
	if !programs.Built() {
		t.Skip("TestKVM runs this in its guest, which has no other network")
	}
	for _, c := range []configuration{{machine: "microvm", cpus: 2, model: "default"}, {machine: "pc", cpus: 1, model: "default"}} {
		t.Run(c.String(), func(t *testing.T) {
			makeTAP(t)
			pcap := filepath.Join(t.TempDir(), "capture.pcapng")
			r := start(t, options{configuration: c, flags: []string{"--dump", "--pcap", pcap},
				program: goProgram(t, "tcp"), args: []string{"-serve", ":7000"}, env: onTAP(t)})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "serving 7000" })
			const addr = "10.0.2.15:7000"
			exchange(t, addr, 1<<20, 1)
			quit(t, r, addr)
			for _, counter := range []string{"tx-checksums", "tx-segments", "rx-segments", "rx-merged"} {
				if !regexp.MustCompile("(?m)^e0: " + counter + " [1-9]").MatchString(r.stderr.String()) {
					t.Errorf("no %s\n%s", counter, r.tail())
				}
			}
			if dropped := regexp.MustCompile("(?m)^e0: (rx-bad|rx-runt|rx-oversized|rx-short|tx-bad|tx-too).*").FindString(r.stderr.String()); dropped != "" {
				t.Error(dropped)
			}
			for direction, seen := range map[string]bool{"<": segmentShown(r, "<"), ">": segmentShown(r, ">")} {
				if !seen {
					t.Errorf("the dump has no segment %s that is left to the card\n%s", direction, r.tail())
				}
			}
			captured, err := capturedSegments(pcap)
			if err != nil || captured[packet.Receive] == 0 || captured[packet.Transmit] == 0 {
				t.Errorf("segments in the capture that are left to the card, by direction: %v, %v", captured, err)
			}
		})
	}
}

// longestFrame is the length of a frame that has not been made of several, in bytes.
const longestFrame = 1514

// segmentShown tells whether the dump has a frame in a direction that is longer than the wire takes, with the state of its checksum.
func segmentShown(r *run, direction string) bool {
	for _, m := range regexp.MustCompile(`(?m)^#\d+ \S+ e0 `+direction+` (\d+) .* ck=offload`).FindAllStringSubmatch(r.stderr.String(), -1) {
		if n, _ := strconv.Atoi(m[1]); n > longestFrame {
			return true
		}
	}
	return false
}

// capturedSegments counts such frames in a capture.
func capturedSegments(path string) (map[packet.Direction]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c, err := dump.Open(f)
	if err != nil {
		return nil, err
	}
	seen := make(map[packet.Direction]int)
	for {
		p, err := c.Next()
		if errors.Is(err, io.EOF) {
			return seen, nil
		}
		if err != nil {
			return seen, err
		}
		if p.WireLen > longestFrame && p.Checksum == packet.ChecksumOffload {
			seen[p.Direction]++
		}
	}
}

// tapName is the name of the TAP interface.
const tapName = "wick0"

// onTAP returns the environment of a wick whose QEMU has the network card on the TAP interface.
func onTAP(t *testing.T) []string {
	return wrapQEMU(t, t.TempDir(), func(qemu string) string {
		return strings.Join([]string{"#!/bin/sh", "for a; do", "shift",
			`case "$a" in user,id=n0*) a=tap,id=n0,ifname=` + tapName + `,script=no,downscript=no ;; esac`,
			`set -- "$@" "$a"`, "done", fmt.Sprintf(`exec %s "$@"`, qemu), ""}, "\n")
	})
}

// makeTAP makes the TAP interface, which has the host's address in user networking, until the end of the test.
func makeTAP(t *testing.T) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("TAP interface: %v", err)
		}
	}
	tap, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	must(err)
	defer tap.Close()
	request, err := unix.NewIfreq(tapName)
	must(err)
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	must(unix.IoctlIfreq(int(tap.Fd()), unix.TUNSETIFF, request))
	must(unix.IoctlSetInt(int(tap.Fd()), unix.TUNSETPERSIST, 1)) // it stays when QEMU has it and we don't
	t.Cleanup(func() {
		tap, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		must(err)
		defer tap.Close()
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		must(unix.IoctlIfreq(int(tap.Fd()), unix.TUNSETIFF, request))
		must(unix.IoctlSetInt(int(tap.Fd()), unix.TUNSETPERSIST, 0))
	})
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(err)
	defer unix.Close(socket)
	for _, set := range []struct {
		request uint
		address []byte
	}{{unix.SIOCSIFADDR, []byte{10, 0, 2, 2}}, {unix.SIOCSIFNETMASK, []byte{255, 255, 255, 0}}} {
		must(request.SetInet4Addr(set.address))
		must(unix.IoctlIfreq(socket, set.request, request))
	}
	request.SetUint16(unix.IFF_UP)
	must(unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request))
}
