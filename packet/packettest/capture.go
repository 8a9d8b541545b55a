package packettest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"wick/packet/pcap"
)

// WriteCapture writes frames to a classic capture in a folder of the test, and returns its path.
func WriteCapture(t testing.TB, link pcap.LinkType, frames []Frame) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "frames.pcap")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, err := pcap.NewWriter(file, link, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if err := w.Write(time.Unix(1700000000, int64(i)*1001000), len(f.Data), f.Data); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
