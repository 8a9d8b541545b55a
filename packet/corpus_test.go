package packet

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"wick/packet/pcap"
	"wick/packet/pcapng"
)

// corpusFile holds every frame of the line tests, for tests of other packages and for Wireshark. WICK_UPDATE=1 writes it
// anew.
const corpusFile = "testdata/crafted.pcapng"

// linkTypes are the types of captures of the groups' links. Bare vsock packets have none: they get the header of vsockmon;
// events are left out.
var linkTypes = map[Link]pcap.LinkType{
	LinkEthernet: pcap.LinkEthernet, LinkRaw: pcap.LinkRaw, LinkCooked: pcap.LinkSLL, LinkCooked2: pcap.LinkSLL2, LinkVsockMon: pcap.LinkVsock,
}

func TestCorpusFile(t *testing.T) {
	var file bytes.Buffer
	w, err := pcapng.NewWriter(&file, &pcapng.Section{Application: "wick/packet tests", Comments: []string{"Frames made for tests. Many are broken on purpose."}})
	if err != nil {
		t.Fatal(err)
	}
	groups := lineGroups()
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	ids := map[Link]int{}
	at := time.Unix(1700000000, 0)
	for _, name := range names {
		link := linkOf(name)
		bare := link == LinkVsock
		if bare {
			link = LinkVsockMon
		}
		typ, ok := linkTypes[link]
		if !ok {
			continue
		}
		if _, ok := ids[link]; !ok {
			if ids[link], err = w.Interface(&pcapng.Interface{Link: typ, Name: []string{"e0", "raw0", "any", "any2", "v0m", "v0"}[link]}); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range groups[name] {
			at = at.Add(1001 * time.Microsecond)
			data := tt.frame
			if bare {
				data = append(AppendVsockMon(nil, data), data...)
			}
			p := pcapng.Packet{Time: at, WireLen: len(data), Data: data, Flags: pcapng.FlagInbound, Comments: []string{name + "/" + tt.name}}
			if err := w.Write(ids[link], &p); err != nil {
				t.Fatal(err)
			}
		}
	}
	if os.Getenv("WICK_UPDATE") == "1" {
		if err := os.WriteFile(corpusFile, file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(corpusFile); err != nil || !bytes.Equal(have, file.Bytes()) {
		t.Errorf("%s is not what the line tests hold (%v); WICK_UPDATE=1 writes it anew", corpusFile, err)
	}
}
