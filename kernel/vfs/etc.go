package vfs

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// addEtcLocked adds the directories and files that programs and their resolvers expect, where the initial
// file system has none: hosts(5), resolv.conf(5), nsswitch.conf(5), passwd(5), group(5), services(5), protocols(5).
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
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
		{"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
		{"/etc/group", "root:x:0:\nnogroup:x:65534:\n"},
		{"/etc/mtab", mounts},
		{"/etc/services", services()},
		{"/etc/protocols", protocols},
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

// services makes /etc/services: those that programs ask for by name, with the ports that IANA has given them.
func services() string {
	var b strings.Builder
	for _, s := range [...]struct {
		name, protocols string
		port            int
		alias           string
	}{
		{"echo", "tcp udp", 7, ""}, {"discard", "tcp udp", 9, ""}, {"daytime", "tcp udp", 13, ""}, {"ftp-data", "tcp", 20, ""},
		{"ftp", "tcp", 21, ""}, {"ssh", "tcp", 22, ""}, {"telnet", "tcp", 23, ""}, {"smtp", "tcp", 25, "mail"},
		{"time", "tcp udp", 37, ""}, {"domain", "tcp udp", 53, ""}, {"bootps", "udp", 67, ""}, {"bootpc", "udp", 68, ""},
		{"tftp", "udp", 69, ""}, {"http", "tcp", 80, "www"}, {"kerberos", "tcp udp", 88, ""}, {"pop3", "tcp", 110, ""},
		{"sunrpc", "tcp udp", 111, "portmapper"}, {"ntp", "udp", 123, ""}, {"imap2", "tcp", 143, "imap"}, {"snmp", "tcp udp", 161, ""},
		{"ldap", "tcp udp", 389, ""}, {"https", "tcp udp", 443, ""}, {"submissions", "tcp", 465, "smtps"}, {"syslog", "udp", 514, ""},
		{"submission", "tcp", 587, ""}, {"ldaps", "tcp udp", 636, ""}, {"domain-s", "tcp udp", 853, ""}, {"imaps", "tcp", 993, ""},
		{"pop3s", "tcp", 995, ""}, {"mysql", "tcp", 3306, ""}, {"postgresql", "tcp", 5432, ""}, {"amqp", "tcp", 5672, ""},
		{"redis", "tcp", 6379, ""}, {"http-alt", "tcp", 8080, ""},
	} {
		for _, protocol := range strings.Fields(s.protocols) {
			b.WriteString(strings.TrimRight(s.name+"\t"+strconv.Itoa(s.port)+"/"+protocol+"\t"+s.alias, "\t") + "\n")
		}
	}
	return b.String()
}

// protocols is /etc/protocols: those that the network layer has [IANA, Assigned Internet Protocol Numbers].
const protocols = "ip\t0\tIP\nicmp\t1\tICMP\nigmp\t2\tIGMP\ntcp\t6\tTCP\nudp\t17\tUDP\nipv6\t41\tIPv6\nipv6-icmp\t58\tIPv6-ICMP\n"

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
