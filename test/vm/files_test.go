package vm

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// TestFilesOfTheHost: what --file names is there, byte for byte.
func TestFilesOfTheHost(t *testing.T) {
	site := t.TempDir()
	large := bytes.Repeat([]byte("wick\n"), 1<<20)
	if err := os.MkdirAll(filepath.Join(site, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"page.txt": []byte("a page"), "sub/large": large, "empty": nil} {
		if err := os.WriteFile(filepath.Join(site, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/large", filepath.Join(site, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []configuration{plain, {machine: "pc", cpus: 2, model: "max"}} {
		t.Run(c.String(), func(t *testing.T) {
			t.Parallel()
			r := start(t, options{configuration: c, program: goProgram(t, "/examples/fileserver"), args: []string{"www"},
				flags: []string{"-w", "/srv", "--file", site + ":www", "-p", "0:80"}})
			r.awaitLine(r.stdout, "it served", func(line string) bool { return line == "fileserver: serving www on port 80" })
			for name, want := range map[string][]byte{"page.txt": []byte("a page"), "sub/large": large, "link": large, "empty": nil} {
				wantFile(t, "http://"+r.port("80/tcp")+"/"+name, want)
			}
			interrupt(t, r)
			r.want(0)
		})
	}
}

// wantFile fetches a file and compares it.
func wantFile(t *testing.T, url string, want []byte) {
	t.Helper()
	client := http.Client{Timeout: runLimit}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	got, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("%s: %s, %d bytes of %d, %v", url, answer.Status, len(got), len(want), err)
	}
}
