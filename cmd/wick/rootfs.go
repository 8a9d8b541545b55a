package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"wick/bundle"
	"wick/vmm/preflight"
)

// hostName is the guest's host name.
const hostName = "wick"

// certificates is where Debian and Go's crypto/x509 keep the certificates of the authorities.
const certificates = "/etc/ssl/certs/ca-certificates.crt"

// initialFiles returns the initial file system for a program and the program's path in it. The
// kernel adds what every Linux system has: /etc/hosts, /tmp and the like.
func (f *machineFlags) initialFiles(p *preflight.Program) (files []bundle.File, programPath string, err error) {
	programPath = path.Join("/bin", filepath.Base(p.Path))
	if files, err = readFiles(f.sources, f.machine.Memory); err != nil {
		return nil, "", fmt.Errorf("--file: %w", err)
	}
	add := func(file bundle.File) {
		if !slices.ContainsFunc(files, func(f bundle.File) bool { return f.Path == file.Path }) {
			file.ModTime = p.ModTime
			files = append(files, file)
		}
	}
	// Without it no program in the guest could use HTTPS. Where the host has none the guest has none.
	if data, err := os.ReadFile(certificates); err == nil {
		add(bundle.File{Path: certificates, Mode: bundle.ModeRegular | 0o644, Data: data})
	}
	if !slices.Contains(kernelOwn, f.workDir) {
		add(bundle.File{Path: f.workDir, Mode: bundle.ModeDir | 0o755})
	}
	// Not by add: what else has the program's path is an error.
	files = append(files, bundle.File{Path: programPath, Mode: bundle.ModeRegular | p.Mode, ModTime: p.ModTime, Data: p.Data})
	return files, programPath, nil
}

// kernelOwn are working directories that need not be made: the kernel makes them, with permissions of their own.
var kernelOwn = []string{"/", "/tmp", "/root", "/var/tmp"}

// programConfig returns the part of the configuration that does not depend on the run.
func (f *machineFlags) programConfig(programPath string, args, env []string) *bundle.Config {
	return &bundle.Config{
		Args: append([]string{programPath}, args...),
		Env:  env,
		Path: programPath,
		Cwd:  f.workDir,
		Host: hostName,
	}
}
