package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dropReason is why a packet is dropped, as the code has it.
var dropReason = regexp.MustCompile(`"((?:rx|tx|eth|arp|ip|icmp|igmp|udp|tcp|socket|vsock)-[a-z-]+)"`)

// TestDropReasonsAreDocumented: docs/packet-dump.md explains each reason that a dropped packet may have that the stack gives.
func TestDropReasonsAreDocumented(t *testing.T) {
	dir := root(t)
	document, err := os.ReadFile(filepath.Join(dir, "docs/packet-dump.md"))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range []string{"kernel/net/netstack_judge.go", "kernel/net/netstack_link.go", "kernel/net/queue.go", "vsock/endpoint.go"} {
		source, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range dropReason.FindAllStringSubmatch(string(source), -1) {
			count++
			if !strings.Contains(string(document), "`"+m[1]+"`") {
				t.Errorf("%s: %s is not in docs/packet-dump.md", file, m[1])
			}
		}
	}
	const known = 30
	if count < known {
		t.Errorf("%d reasons found, there were %d", count, known)
	}
}
