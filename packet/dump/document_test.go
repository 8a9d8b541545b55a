package dump

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wick/packet"
	"wick/packet/packettest"
	"wick/packet/pcap"
)

const document = "../../docs/packet-dump.md"

// example is one of the document: a comment that says what it is, and a block with it.
var example = regexp.MustCompile("(?m)^<!-- example ?([a-z]*): (.*) -->\n```\n((?s:.*?))```\n")

// craftedPacket returns the frame of the test corpus with a name.
func craftedPacket(t *testing.T, name string) *Packet {
	t.Helper()
	crafted, err := os.ReadFile("../testdata/crafted.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(bytes.NewReader(crafted))
	if err != nil {
		t.Fatal(err)
	}
	for {
		p, err := c.Next()
		if err == io.EOF {
			t.Fatalf("no frame %q", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Comment == name {
			p.Number, p.Time, p.Comment, p.Comments = 12, 4218*time.Microsecond, "", nil
			return p
		}
	}
}

// testdata dumps a capture of the decoder's tests.
func testdata(t *testing.T, name string, o Options) string {
	t.Helper()
	capture, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	out, err := run(capture, o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// exampleText returns what an example should show.
func exampleText(t *testing.T, kind, what string) string {
	t.Helper()
	switch kind {
	case "file":
		var name string
		var from, to int
		if _, err := fmt.Sscanf(what, "%s %d-%d", &name, &from, &to); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.SplitAfter(testdata(t, name, Options{}), "\n")[from-1:to], "")
	case "stats":
		name, expression, _ := strings.Cut(what, " ")
		return testdata(t, name, Options{Stats: true, Filter: parse(t, expression)})
	}
	p := craftedPacket(t, what)
	mode := packet.Line
	switch kind {
	case "full":
		mode = packet.Full
	case "dropped":
		p.Drop = "ring-full"
	}
	var info packet.Info
	text := packet.NewDecoder(4).Describe(nil, &p.Frame, mode, &info)
	if kind != "json" {
		return string(text)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, appendJSON(nil, p, &info, text), "", "  "); err != nil {
		t.Fatal(err)
	}
	return pretty.String()
}

// TestDocument compares the examples of the document with what the decoder says. WICK_UPDATE=1 writes them anew.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	updated := example.ReplaceAllFunc(text, func(block []byte) []byte {
		examples++
		m := example.FindSubmatch(block)
		want := exampleText(t, string(m[1]), string(m[2]))
		if string(m[3]) != want && os.Getenv("WICK_UPDATE") != "1" {
			t.Errorf("example %s:\n got %s\nwant %s (WICK_UPDATE=1 writes it)", m[2], m[3], want)
		}
		head, _, _ := bytes.Cut(block, []byte("```\n"))
		return slices.Concat(head, []byte("```\n"+want+"```\n"))
	})
	if examples < 30 || examples != strings.Count(string(text), "<!-- example") {
		t.Errorf("%d examples of %d", examples, strings.Count(string(text), "<!-- example"))
	}
	if os.Getenv("WICK_UPDATE") == "1" {
		if err := os.WriteFile(document, updated, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDocumentNames: every name that JSON objects have, and every anomaly, is in the document.
func TestDocumentNames(t *testing.T) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	crafted, err := os.ReadFile("../testdata/crafted.pcapng")
	if err != nil {
		t.Fatal(err)
	}
	var generated [][]byte
	for _, f := range packettest.Generated(t) {
		generated = append(generated, f.Data)
	}
	var missing []string
	need := func(name string) {
		if !strings.Contains(string(text), "`"+name+"`") && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	for _, capture := range [][]byte{crafted, mixed(t), classic(t, pcap.LinkEthernet, generated...), established(t).Capture()} {
		for _, stats := range []bool{false, true} {
			out, err := run(capture, Options{JSON: true, Stats: stats})
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out) {
				var o any
				if err := json.Unmarshal([]byte(line), &o); err != nil {
					t.Fatal(err)
				}
				needNames(o, need)
			}
		}
	}
	if len(missing) > 0 {
		t.Errorf("%s lacks %q", document, missing)
	}
}

// anomalyName takes the name off what an anomaly says.
var anomalyName = regexp.MustCompile(`^[A-Za-z+_0-9-]+`)

func needNames(o any, need func(string)) {
	switch o := o.(type) {
	case map[string]any:
		for name, member := range o {
			need(name)
			if list, ok := member.([]any); ok && name == "anomalies" {
				for _, a := range list {
					if s := a.(string); !strings.Contains(s, "=!bad(") && !strings.HasPrefix(s, "dropped(") && !strings.HasPrefix(s, "rx-error(") {
						need("!" + anomalyName.FindString(s))
					}
				}
			}
			needNames(member, need)
		}
	case []any:
		for _, member := range o {
			needNames(member, need)
		}
	}
}
