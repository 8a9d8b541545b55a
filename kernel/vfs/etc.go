package vfs

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// addEtcLocked adds the directories and files that programs and their resolvers expect, where the initial
// file system has none: hosts(5), resolv.conf(5), nsswitch.conf(5), passwd(5), group(5).
func (fs *FS) addEtcLocked() error {
	o := &fs.options
	for _, d := range []struct {
		path string
		perm uint32
	}{{"/etc", 0o755}, {"/tmp", 0o1777}, {"/root", 0o700}, {"/run", 0o755}, {"/var", 0o755}, {"/var/tmp", 0o1777}} {
		if err := fs.addDefaultLocked(d.path, func() (Node, error) { return fs.newTmpDir(d.perm) }); err != nil {
			return err
		}
	}
	hosts := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	if address, _, _ := strings.Cut(o.Address, "/"); address != "" {
		hosts += address + "\t" + o.HostName + "\n"
	} else {
		hosts += "127.0.1.1\t" + o.HostName + "\n"
	}
	resolv := ""
	if o.DNS != "" {
		resolv = "nameserver " + o.DNS + "\n"
	}
	for _, f := range []struct{ path, text string }{
		{"/etc/hosts", hosts},
		{"/etc/hostname", o.HostName + "\n"},
		{"/etc/resolv.conf", resolv},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
		{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
		{"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
		{"/etc/mtab", mounts},
	} {
		err := fs.addDefaultLocked(f.path, func() (Node, error) {
			if err := fs.takeName(); err != nil {
				return nil, err
			}
			n := fs.newRegular(0o644)
			n.initial, n.size = []byte(f.text), int64(len(f.text))
			return n, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// addDefaultLocked adds what make returns at path, unless there is something already, or something
// other than a directory is in the way.
func (fs *FS) addDefaultLocked(path string, make func() (Node, error)) error {
	dir, name, err := fs.parentLocked(path)
	if err == unix.EEXIST || err == unix.ENOTDIR || err == unix.ENOENT || err == unix.ELOOP {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := make()
	if err != nil {
		return err
	}
	dir.addLocked(name, n)
	return nil
}

// newSys makes the part of /sys that runtimes look at.
func (fs *FS) newSys() *Dir {
	d := fs.newDir(devSys, 0o555)
	d.fixed = true
	t := tree{fs, d, devSys}
	cpus := "0"
	if n := fs.options.CPUs; n > 1 {
		cpus = "0-" + strconv.Itoa(n-1)
	}
	for _, name := range []string{"online", "possible", "present"} {
		t.fixed("devices/system/cpu/"+name, cpus+"\n")
	}
	// Go's heap sizes its arenas' huge pages by it; there are no huge pages, 2 MiB is what it assumes anyway.
	t.fixed("kernel/mm/transparent_hugepage/hpage_pmd_size", "2097152\n")
	t.fixed("kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n")
	return d
}
