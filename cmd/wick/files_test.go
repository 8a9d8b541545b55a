package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"wick/bundle"
)

func TestParseFile(t *testing.T) {
	tests := []struct{ value, workDir, host, guest string }{
		{"a.conf:/etc/b.conf", "/", "a.conf", "/etc/b.conf"},
		{"../x/a.conf:/etc/", "/", "../x/a.conf", "/etc/a.conf"},
		{"/etc/hosts", "/srv", "/etc/hosts", "/etc/hosts"},
		{"conf/a", "/", "conf/a", "/conf/a"},
		{"./conf/a", "/srv", "./conf/a", "/srv/conf/a"},
		{".", "/srv", ".", "/srv"},
		{"..:up", "/srv", "..", "/srv/up"},
		{"site/:/srv/./www", "/", "site/", "/srv/www"},
		{"site/:/srv/", "/", "site/", "/srv/site"},
		{".:/", "/", "", ""}, // no name
		{"site:/../..", "/", "site", "/"},
		{"", "/", "", ""},
		{":/x", "/", "", ""},
		{"x:", "/", "", ""},
		{"x:/y:ro", "/", "", ""},
		{"../x", "/", "", ""},
		{"..", "/", "", ""},
		{"x:/proc", "/", "", ""},
		{"x:dev/y", "/", "", ""},
		{"/sys/x", "/", "", ""},
		{"x:/process", "/", "x", "/process"},
		{"x\x00:/y", "/", "", ""},
	}
	for _, tt := range tests {
		got, err := parseFile(tt.value, tt.workDir)
		if (err == nil) != (tt.host != "") || got != (fileSource{tt.host, tt.guest}) {
			t.Errorf("%q from %s: got %+v, %v", tt.value, tt.workDir, got, err)
		}
	}
}

// tree makes a directory with the given files; what starts with -> is a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(text, "->"); link {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(text), 0o640)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadFiles(t *testing.T) {
	large := strings.Repeat("x", mapThreshold) // mapped
	dir := tree(t, map[string]string{"site/a": "1", "site/sub/b": "", "site/link": "->../away", "more/c": "3", "large": large, "to": "->site"})
	files, err := readFiles([]fileSource{
		{dir + "/site", "/srv"}, {dir + "/more", "/srv"}, {dir + "/large", "/large"}, {dir + "/to", "/again"},
	}, mapThreshold+3)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bundle.File)
	for _, f := range files {
		if _, twice := got[f.Path]; twice || f.ModTime.IsZero() {
			t.Errorf("%+v", f)
		}
		got[f.Path] = f
	}
	for path, want := range map[string]bundle.File{
		"/srv":       {Mode: bundle.ModeDir | 0o755},
		"/srv/a":     {Mode: bundle.ModeRegular | 0o640, Data: []byte("1")},
		"/srv/sub":   {Mode: bundle.ModeDir | 0o755},
		"/srv/sub/b": {Mode: bundle.ModeRegular | 0o640},
		"/srv/link":  {Mode: bundle.ModeSymlink | 0o777, Link: "../away"},
		"/srv/c":     {Mode: bundle.ModeRegular | 0o640, Data: []byte("3")},
		"/large":     {Mode: bundle.ModeRegular | 0o640, Data: []byte(large)},
		"/again/a":   {Mode: bundle.ModeRegular | 0o640, Data: []byte("1")},
	} {
		f := got[path]
		if f.Mode != want.Mode || string(f.Data) != string(want.Data) || f.Link != want.Link {
			t.Errorf("%s: got mode %o, %d bytes, link %q", path, f.Mode, len(f.Data), f.Link)
		}
	}
	if len(got) != 12 { // those, and the rest of /again
		t.Errorf("%d files", len(got))
	}
}

func TestReadFilesErrors(t *testing.T) {
	dir := tree(t, map[string]string{"a/x": "1", "b/x": "2", "dangling": "->nowhere", "special/file": "", "large": "01234567890"})
	if err := syscall.Mkfifo(dir+"/special/fifo", 0o600); err != nil {
		t.Fatal(err)
	}
	for want, sources := range map[string][]fileSource{
		"/nosuch: no such file": {{dir + "/nosuch", "/x"}},
		"dangling, which leads to " + dir + "/nowhere: no such file": {{dir + "/dangling", "/x"}},
		"/s/x in the machine is named twice":                         {{dir + "/a", "/s"}, {dir + "/b", "/s"}},
		"/x in the machine is named twice":                           {{dir + "/a", "/x"}, {dir + "/b/x", "/x"}},
		"fifo: is neither a file":                                    {{dir + "/special/fifo", "/x"}},
		"large: is too large":                                        {{dir + "/large", "/x"}},
	} {
		if _, err := readFiles(sources, 10); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestSpecialFilesAreLeftOut: a directory may have a socket in it.
func TestSpecialFilesAreLeftOut(t *testing.T) {
	cmd := wickCommand(t, "run", "-f", "d", "./program", "describe")
	if err := os.Mkdir(filepath.Join(cmd.Dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(cmd.Dir, "d/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, cmd, nil)
	if got.status != 0 || !strings.Contains(got.stdout, "file 40755 /d 0\n") || strings.Contains(got.stdout, "fifo") ||
		got.stderr != "wick: --file: d/fifo: is neither a file nor a directory nor a symbolic link, and is left out\n" {
		t.Errorf("got %+v", got)
	}
}

func TestFilesReachTheGuest(t *testing.T) {
	cmd := wickCommand(t, "run", "-w", "/srv/app", "-f", "conf/a", "-f", "conf:/etc/conf", "-f", "conf/a:"+certificates, "./program", "describe")
	if err := os.Mkdir(filepath.Join(cmd.Dir, "conf"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cmd.Dir, "conf/a"), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, cmd, nil)
	if got.status != 0 {
		t.Fatalf("got %+v", got)
	}
	for _, want := range []string{
		"cwd /srv/app\n", "file 40755 /srv/app 0\n", "file 100600 /srv/app/conf/a 5\n", "file 40750 /etc/conf 0\n", "file 100600 /etc/conf/a 5\n",
		"file 100600 " + certificates + " 5\n",
	} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in %s", want, got.stdout)
		}
	}
}
