package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wick/bench/measure"
)

// example is a run of ten rounds in which wick takes half as long as debian, though the host becomes slower and slower.
func example() *Results {
	r := &Results{Date: time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC), Rounds: 10, Host: map[string]string{"CPU": "a <fast> one"},
		Guests: []Guest{{"wick", "commit 1", "pc/e1000", 1}, {"debian", "Linux", "pc/e1000", 1}}}
	for round := 1; round <= 10; round++ {
		for i, g := range r.Guests {
			slow := float64(round) * float64(i+1)
			r.Records = append(r.Records, measure.Record{Guest: g.Name, Machine: g.Machine, CPUs: 1, Round: round, What: measure.UDPEcho,
				Values: measure.Values{"p50_us": 100 * slow, "p99_us": 200 * slow, measure.CPUTime: 50 * slow}, Noise: measure.Noise{Other: 1}})
		}
	}
	return r
}

// Ratios are formed within rounds: what slows both sides doesn't widen their interval.
func TestRatiosAreOfRounds(t *testing.T) {
	r := example()
	for i := range figures {
		if figures[i].id != "udp-echo" {
			continue
		}
		rows := r.rows(&figures[i])
		if len(rows) != 2 || rows[0].ratio == nil || *rows[0].ratio != (Median{0.5, 0.5, 0.5, 10}) || *rows[0].cpuRatio != (Median{0.5, 0.5, 0.5, 10}) {
			t.Errorf("rows %+v", rows)
		}
		if rows[1].ratio != nil {
			t.Error("the reference has a ratio to itself")
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	r := example()
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 January 2026", "0.5 (0.5 – 0.5) | ≤ 0.7: reached", "(performance/udp-echo.svg)", "| 550 | 200 – 900 |", "## How it is measured"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in the document", want)
		}
	}
	if strings.Contains(string(text), "Not to be quoted") || strings.Contains(string(text), "What failed") {
		t.Errorf("a good run is excused:\n%s", text)
	}
	plots, err := filepath.Glob(filepath.Join(dir, "performance", "*.svg"))
	if err != nil || len(plots) != 2 {
		t.Fatalf("plots: %v %v", plots, err)
	}
	for _, path := range plots {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(bytes.NewReader(data)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
}

// A run that says little says so.
func TestDoubtfulRunsAreMarked(t *testing.T) {
	r := example()
	r.Rounds = 3
	for i := range r.Records {
		r.Records[i].Noise.Steal = 30
	}
	r.Records[0].Values, r.Records[0].Error = nil, "no answer\nand more"
	text := string(r.document())
	for _, want := range []string{"others used 31 %", "with 3 rounds", "udp-echo of wick, pc/e1000, 1 vCPU in round 1: no answer\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the document:\n%s", want, text)
		}
	}
}

func TestResultsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	if err := example().Save(path); err != nil {
		t.Fatal(err)
	}
	r, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(r.document()) != string(example().document()) {
		t.Error("the document of what was saved is another")
	}
}

func TestAxis(t *testing.T) {
	for _, c := range []struct{ largest, step, end float64 }{
		{0, 1, 1}, {1, 0.2, 1}, {7.3, 1, 8}, {99, 20, 100}, {101, 20, 120}, {0.03, 0.005, 0.03},
	} {
		step, end := axis(c.largest)
		if diff := end/c.end - 1; step/c.step < 0.999 || step/c.step > 1.001 || diff < -0.001 || diff > 0.001 {
			t.Errorf("axis(%v) = %v, %v; want %v, %v", c.largest, step, end, c.step, c.end)
		}
	}
}
