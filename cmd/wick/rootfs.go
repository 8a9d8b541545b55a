package main

import (
	"os"
	"path"
	"path/filepath"

	"wick/bundle"
	"wick/vmm/preflight"
)

// hostName is the guest's host name.
const hostName = "wick"

// certificates is where Debian and Go's crypto/x509 keep the certificates of the authorities.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// initialFiles returns the initial file system for a program and the program's path in it. The
// kernel adds what every Linux system has: /etc/hosts, /tmp and the like.
func initialFiles(p *preflight.Program) (files []bundle.File, programPath string) {
	programPath = path.Join("/bin", filepath.Base(p.Path))
	files = []bundle.File{
		{Path: programPath, Mode: bundle.ModeRegular | p.Mode, ModTime: p.ModTime, Data: p.Data},
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
