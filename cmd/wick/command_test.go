package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wick/bundle"
	"wick/vmm/preflight"
)

// seedOf returns the seed of a bundle that wick run makes for a program.
func seedOf(t *testing.T, path string) []byte {
	t.Helper()
	p, err := preflight.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var f runFlags
	f.workDir = "/"
	file, err := f.bundle(p, nil, nil, [3]bool{})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	image, err := os.ReadFile(file.Name())
	if err == nil {
		t.Fatalf("the bundle has a name: %s, %d bytes", file.Name(), len(image))
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	image = make([]byte, info.Size())
	if _, err := file.ReadAt(image, 0); err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	return b.Config.Seed
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]int64{
		"128": 128 << 20, "128M": 128 << 20, "128m": 128 << 20, "1G": 1 << 30, "65536K": 64 << 20, "64MiB": 64 << 20, "64MB": 64 << 20,
	} {
		if got, err := parseSize(in); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "M", "0", "-1M", "1.5G", "1T", "1MM", "1iB", "1 M", "99999999999999G", "1e3"} {
		if got, err := parseSize(in); err == nil {
			t.Errorf("%q: got %d, want an error", in, got)
		}
	}
}

func TestMergeEnv(t *testing.T) {
	got := mergeEnv([]string{"PATH=/bin", "HOME=/"}, []string{"A=1", "PATH=/x", "A=2", "PATHS=y"})
	if want := []string{"PATH=/x", "HOME=/", "A=2", "PATHS=y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if environment[0] != "PATH=/bin:/usr/bin" {
		t.Error("the defaults have changed")
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{
		"-m": "-m", "user,id=n0": "user,id=n0", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'",
	} {
		if got := shellQuote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestBuild(t *testing.T) {
	cmd := wickCommand(t, "build", "-o", "im age", "-e", "A=b", "-m", "64M", "-p", "8080:80", "./program", "-x", "y")
	kernel := filepath.Join(cmd.Dir, "kernel")
	if err := os.WriteFile(kernel, []byte("a kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, envKernel+"="+kernel)
	got := runCommand(t, cmd, nil)
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("got %+v", got)
	}
	if want := "qemu-system-x86_64 -nodefaults "; !strings.HasPrefix(got.stdout, want) || !strings.Contains(got.stdout, "'im age/kernel.img'") {
		t.Errorf("got %q", got.stdout)
	}
	dir := filepath.Join(cmd.Dir, "im age")
	if b, err := os.ReadFile(filepath.Join(dir, kernelName)); err != nil || string(b) != "a kernel" {
		t.Errorf("kernel: got %q, %v", b, err)
	}
	image, err := os.ReadFile(filepath.Join(dir, bundleName))
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Parse(image)
	if err != nil {
		t.Fatal(err)
	}
	c := b.Config
	if c.Seed != nil || !c.Now.IsZero() || c.Address != "" || c.Gateway != "" || c.DNS != "" {
		t.Errorf("an image with what belongs to a run: %+v", c)
	}
	if !slices.Equal(c.Args, []string{"/bin/program", "-x", "y"}) || !slices.Contains(c.Env, "A=b") {
		t.Errorf("got %+v", c)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("files: %v, %v", entries, err)
	}
	checkScript(t, dir)
	checkScriptMemory(t, dir)
}

// checkScript runs the script with a QEMU that prints its arguments.
func checkScript(t *testing.T, dir string) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "qemu-system-x86_64"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, scriptName), "-cpu", "max", "a b")
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{
		"\n-kernel\n" + dir + "/kernel.img\n-initrd\n" + dir + "/initrd.img\n", "\n-m\n64M\n",
		"\n-accel\ntcg\n", "\nuser,id=n0,hostfwd=tcp:127.0.0.1:8080-:80\n", "\nstdio\n-cpu\nmax\na b\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
}

// checkScriptMemory: the script refuses a machine that is too small for the image, however -m says so.
func checkScriptMemory(t *testing.T, dir string) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "qemu-system-x86_64"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for memory, enough := range map[string]bool{
		"9M": false, "9": false, "10m": true, "9216K": false, "20000k": true, "1G": true, "size=9M,slots=2,maxmem=1G": false, "size=64M": true,
		"0": false, "nonsense": true, "": true, "1.5G": true, "64": true,
	} {
		cmd := exec.Command(filepath.Join(dir, scriptName), "-cpu", "9M", "-m", memory, "-m0")
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		told := strings.HasPrefix(string(out), "wick: not enough memory: -m "+memory) && strings.Contains(string(out), "at least 10M")
		switch status := cmd.ProcessState.ExitCode(); {
		case enough && (err != nil || len(out) > 0), !enough && (status != 251 || !told):
			t.Errorf("-m %s: status %d, %q", memory, status, out)
		}
	}
}

func TestVersion(t *testing.T) {
	got := wick(t, nil, "version")
	if got.status != 0 || !strings.HasPrefix(got.stdout, "wick "+version+" (") || got.stderr != "" {
		t.Errorf("got %+v", got)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help", "run"}, {"run", "--help"}, {"build", "-h"}, {"doctor", "-h"}, {"version", "-h"},
		{"vsock"}, {"vsock", "connect", "-h"}, {"vsock", "listen", "-h"}, {"vsock", "serve", "-h"}} {
		got := wick(t, nil, args...)
		if got.status != 0 || !strings.Contains(got.stdout, "Usage:") || got.stderr != "" {
			t.Errorf("%q: got %+v", args, got)
		}
	}
	if got := wick(t, nil, "run", "-h"); !strings.Contains(got.stdout, "Examples:") {
		t.Errorf("no examples: %s", got.stdout)
	}
}

func TestDoctor(t *testing.T) {
	cmd := wickCommand(t, "doctor")
	cmd.Env = append(cmd.Env, "WICK_QEMU=", "PATH="+t.TempDir())
	got := runCommand(t, cmd, nil)
	if got.status != 1 || !strings.Contains(got.stdout, "MISSING  QEMU") || !strings.Contains(got.stdout, "qemu-system-x86_64 is not installed") {
		t.Errorf("without QEMU: got %+v", got)
	}
	for _, want := range []string{"kernel", "KVM", "terminal", "tshark", "tcpdump", "ping"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("nothing about %s: %s", want, got.stdout)
		}
	}
}

// TestDoctorIsContent: a complete QEMU lacks nothing.
func TestDoctorIsContent(t *testing.T) {
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Skipf("without QEMU there is nothing to examine: %v", err)
	}
	cmd := wickCommand(t, "doctor")
	cmd.Env = append(cmd.Env, "WICK_QEMU=")
	if got := runCommand(t, cmd, nil); got.status != 0 || strings.Contains(got.stdout, "MISSING") {
		t.Errorf("got %+v", got)
	}
}

func TestDoctorPrints(t *testing.T) {
	var d doctor
	d.add(good, "QEMU", "7.2", "")
	d.add(note, "tshark", "not installed", "sudo apt-get install tshark")
	var b bytes.Buffer
	d.print(&b)
	want := "ok       QEMU             7.2\n" +
		"--       tshark           not installed\n" +
		"                          → sudo apt-get install tshark\n" +
		"\nwick run works here.\n"
	if b.String() != want || d.sick() {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	d.add(problem, "kernel", "none", "make build")
	b.Reset()
	d.print(&b)
	if !d.sick() || !strings.Contains(b.String(), "MISSING  kernel") || !strings.Contains(b.String(), "will not work") {
		t.Errorf("got %q", b.String())
	}
}
