package main

import (
	"os"
	"path"
	"path/filepath"
	"time"

	"wick/bundle"
	"wick/vmm/preflight"
)

// hostName is the guest's host name.
const hostName = "wick"

// etc is what C libraries and Go's resolver look for. /etc/resolv.conf is the kernel's: it knows
// the name server, whether it was told or asked by DHCP.
var etc = []struct{ name, text string }{
	{"group", "root:x:0:\nnogroup:x:65534:\n"},
	{"hostname", hostName + "\n"},
	{"hosts", "127.0.0.1 localhost\n::1 localhost\n10.0.2.15 " + hostName + "\n"},
	{"nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
	{"passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
}

// certificates is where Debian and Go's crypto/x509 keep the certificates of the authorities.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// initialFiles returns the initial file system for a program and the program's path in it.
func initialFiles(p *preflight.Program) (files []bundle.File, programPath string) {
	programPath = path.Join("/bin", filepath.Base(p.Path))
	files = []bundle.File{
		{Path: programPath, Mode: bundle.ModeRegular | p.Mode, ModTime: p.ModTime, Data: p.Data},
		{Path: "/root", Mode: bundle.ModeDir | 0o700, ModTime: p.ModTime},
		{Path: "/tmp", Mode: bundle.ModeDir | 0o1777, ModTime: p.ModTime},
	}
	for _, f := range etc {
		files = append(files, bundle.File{
			Path: "/etc/" + f.name, Mode: bundle.ModeRegular | 0o644, ModTime: p.ModTime, Data: []byte(f.text),
		})
	}
	// Without it no program in the guest could use HTTPS. Where the host has none the guest has none.
	if data, err := os.ReadFile(certificates); err == nil {
		files = append(files, bundle.File{
			Path: certificates, Mode: bundle.ModeRegular | 0o644, ModTime: p.ModTime, Data: data,
		})
	}
	return files, programPath
}

// programConfig returns the part of the configuration that does not depend on the run.
func programConfig(programPath string, args, env []string) *bundle.Config {
	return &bundle.Config{
		Args: append([]string{programPath}, args...),
		Env:  env,
		Path: programPath,
		Cwd:  "/",
		Host: hostName,
	}
}

// now is the wall clock, replaced by tests.
var now = time.Now
