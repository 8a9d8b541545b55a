package net

import (
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/waiter"

	"wick/kernel/vfs"
)

// rib asks a routing question as Go's syscall.NetlinkRIB does.
func rib(t *testing.T, s *Stack, kind, family int) []syscall.NetlinkMessage {
	t.Helper()
	k, err := s.NewSocket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	check(t, err)
	defer k.Close()
	check(t, k.Bind(appendNl(nil, 0)))
	name, err := k.LocalAddr(nil)
	check(t, err)
	port := le32(name[4:])
	req := []byte{17, 0, 0, 0, byte(kind), byte(kind >> 8), 1, 3, 1, 0, 0, 0, 0, 0, 0, 0, byte(family)}
	src := vfs.Bytes(req)
	if _, err := k.Send(&src, &Message{Addr: appendNl(nil, 0)}); err != nil {
		t.Fatal(err)
	}
	var all []syscall.NetlinkMessage
	buf := make([]byte, 4096)
	for {
		m := Message{WantAddr: true}
		dst := vfs.Bytes(buf)
		n, err := k.Recv(&dst, &m)
		if err != nil || m.Flags != 0 || len(m.Addr) != 12 {
			t.Fatal(n, err, m)
		}
		msgs, err := syscall.ParseNetlinkMessage(buf[:n])
		check(t, err)
		for _, m := range msgs {
			if m.Header.Seq != 1 || m.Header.Pid != port {
				t.Fatalf("header %+v, want sequence 1 and port %d", m.Header, port)
			}
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return all
			case unix.NLMSG_ERROR:
				t.Fatalf("error %v", m.Data)
			}
			// The data are in buf, which is used again.
			m.Data = append([]byte(nil), m.Data...)
			all = append(all, m)
		}
	}
}

func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// attrs are the attributes of a message by type.
func attrs(t *testing.T, m syscall.NetlinkMessage) map[uint16][]byte {
	t.Helper()
	list, err := syscall.ParseNetlinkRouteAttr(&m)
	check(t, err)
	out := make(map[uint16][]byte)
	for _, a := range list {
		out[a.Attr.Type] = a.Value
	}
	return out
}

func TestNetlinkDumps(t *testing.T) {
	a, _, _, _ := testStacks(t, Options{})
	links := rib(t, a.s, unix.RTM_GETLINK, unix.AF_UNSPEC)
	if len(links) != 2 {
		t.Fatalf("%d links, want 2", len(links))
	}
	for i, want := range []struct {
		name  string
		flags uint32
		kind  uint16
		mtu   uint32
		mac   string
	}{
		{"lo\x00", unix.IFF_UP | unix.IFF_LOOPBACK | unix.IFF_RUNNING | unix.IFF_LOWER_UP, unix.ARPHRD_LOOPBACK, 65536, "\x00\x00\x00\x00\x00\x00"},
		{"eth0\x00", unix.IFF_UP | unix.IFF_BROADCAST | unix.IFF_MULTICAST | unix.IFF_RUNNING | unix.IFF_LOWER_UP, unix.ARPHRD_ETHER, 1500, "\x02\x00\x00\x00\x00\x01"},
	} {
		d, at := links[i].Data, attrs(t, links[i])
		kind, index, flags := uint16(d[2])|uint16(d[3])<<8, le32(d[4:]), le32(d[8:])
		if kind != want.kind || index != uint32(i+1) || flags != want.flags || string(at[unix.IFLA_IFNAME]) != want.name ||
			le32(at[unix.IFLA_MTU]) != want.mtu || string(at[unix.IFLA_ADDRESS]) != want.mac {
			t.Errorf("link %d: kind %d, index %d, flags %#x, %v", i, kind, index, flags, at)
		}
	}
	addrs := func(family int) (out []string) {
		for _, m := range rib(t, a.s, unix.RTM_GETADDR, family) {
			ip, _ := netip.AddrFromSlice(attrs(t, m)[unix.IFA_ADDRESS])
			out = append(out, netip.PrefixFrom(ip, int(m.Data[1])).String()+"@"+itoa(int(le32(m.Data[4:]))))
		}
		return out
	}
	equal(t, "IPv4 addresses", addrs(unix.AF_INET), []string{"127.0.0.1/8@1", "192.0.2.1/24@2"})
	// The address that the stack makes for itself shows when its routes are in place.
	settle(t, "link-local address", func() bool { return len(addrs(unix.AF_INET6)) > 1 })
	equal(t, "IPv6 addresses", addrs(unix.AF_INET6), []string{"::1/128@1", "fe80::ff:fe00:1/64@2"})
	var routes []string
	for _, m := range rib(t, a.s, unix.RTM_GETROUTE, unix.AF_INET) {
		ip, _ := netip.AddrFromSlice(attrs(t, m)[unix.RTA_DST])
		via, _ := netip.AddrFromSlice(attrs(t, m)[unix.RTA_GATEWAY])
		routes = append(routes, ip.String()+"/"+itoa(int(m.Data[1]))+" via "+via.String())
	}
	equal(t, "routes", routes, []string{"192.0.2.0/24 via invalid IP", "invalid IP/0 via 192.0.2.254"})
	if n := len(rib(t, a.s, unix.RTM_GETNEIGH, unix.AF_UNSPEC)); n != 0 {
		t.Errorf("%d neighbours", n)
	}
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %q, want %q", what, got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: %q, want %q", what, got, want)
			return
		}
	}
}

// netlinkAsk sends raw bytes and returns the answers.
func netlinkAsk(t *testing.T, s *Stack, req []byte) (out []syscall.NetlinkMessage) {
	t.Helper()
	k, err := s.NewSocket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	check(t, err)
	defer k.Close()
	src := vfs.Bytes(req)
	if _, err := k.Write(&src, 0); err != nil {
		t.Fatal(err)
	}
	for k.Readiness(waiter.ReadableEvents) != 0 {
		buf := make([]byte, 1<<16)
		dst := vfs.Bytes(buf)
		n, err := k.Read(&dst, 0)
		check(t, err)
		msgs, err := syscall.ParseNetlinkMessage(buf[:n])
		check(t, err)
		out = append(out, msgs...)
	}
	return out
}

func nlRequest(kind, flags uint16, data []byte) []byte {
	n := 16 + len(data)
	return append([]byte{byte(n), byte(n >> 8), 0, 0, byte(kind), byte(kind >> 8), byte(flags), byte(flags >> 8), 7, 0, 0, 0, 0, 0, 0, 0}, data...)
}

func TestNetlinkErrors(t *testing.T) {
	w := newOurs(t)
	byName := append(make([]byte, 16), 7, 0, unix.IFLA_IFNAME, 0, 'l', 'o', 0, 0)
	for _, c := range []struct {
		name string
		req  []byte
		want int // errno of the answer; -1: no answer; -2: a link
	}{
		{"unknown type", nlRequest(unix.RTM_GETMULTICAST, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, make([]byte, 4)), int(unix.EOPNOTSUPP)},
		{"change", nlRequest(unix.RTM_NEWADDR, unix.NLM_F_REQUEST, make([]byte, 8)), int(unix.EPERM)},
		{"no such link", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, append(make([]byte, 4), 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), int(unix.ENODEV)},
		{"no link named", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, make([]byte, 16)), int(unix.EINVAL)},
		{"short", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, make([]byte, 3)), int(unix.EINVAL)},
		{"by name", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, byName), -2},
		{"not a request", nlRequest(unix.RTM_GETLINK, 0, byName), -1},
		{"acknowledged", nlRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, nil), 0},
		{"too short", []byte{1, 2, 3}, -1},
		{"length of 0", make([]byte, 16), -1},
		{"length beyond the end", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, nil)[:15], -1},
		{"attribute beyond the end", nlRequest(unix.RTM_GETLINK, unix.NLM_F_REQUEST, append(make([]byte, 16), 99, 0, 3, 0)), int(unix.EINVAL)},
	} {
		got := netlinkAsk(t, w.s, c.req)
		switch {
		case c.want == -1 && len(got) == 0:
		case c.want == -2 && len(got) == 1 && got[0].Header.Type == unix.RTM_NEWLINK:
		case c.want >= 0 && len(got) == 1 && got[0].Header.Type == unix.NLMSG_ERROR && int(-int32(le32(got[0].Data))) == c.want:
		default:
			t.Errorf("%s: %+v, want %d", c.name, got, c.want)
		}
	}
}

func FuzzNetlink(f *testing.F) {
	f.Add(nlRequest(unix.RTM_GETLINK, 0x301, make([]byte, 16)))
	f.Add(nlRequest(unix.RTM_GETADDR, 0x301, nil))
	s, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	f.Fuzz(func(t *testing.T, req []byte) {
		k, err := s.NewSocket(unix.AF_NETLINK, unix.SOCK_RAW, 0)
		check(t, err)
		defer k.Close()
		src := vfs.Bytes(req)
		k.Write(&src, 0)
	})
}

func TestInterfaceRequests(t *testing.T) {
	a, _, _, _ := testStacks(t, Options{})
	fd := must[int](t)(a.socket(unix.AF_INET, unix.SOCK_DGRAM, 0))
	s := a.fds[fd]
	ask := func(cmd uint64, name string, set ...byte) ([]byte, error) {
		mem := make(testMemory, sizeofIfreq)
		copy(mem, name)
		copy(mem[16:], set)
		_, err := s.Ioctl(mem, cmd, 0)
		if cmd == unix.SIOCGIFNAME {
			return mem[:16], err
		}
		return mem[16:], err
	}
	for _, c := range []struct {
		cmd  uint64
		want []byte
	}{
		{unix.SIOCGIFINDEX, []byte{2, 0, 0, 0}},
		{unix.SIOCGIFMTU, []byte{0xdc, 5, 0, 0}},
		{unix.SIOCGIFHWADDR, []byte{1, 0, 2, 0, 0, 0, 0, 1}},
		{unix.SIOCGIFADDR, sa4("192.0.2.1", 0)},
		{unix.SIOCGIFBRDADDR, sa4("192.0.2.255", 0)},
		{unix.SIOCGIFNETMASK, sa4("255.255.255.0", 0)},
		{unix.SIOCGIFFLAGS, []byte{0x43, 0x10}},
	} {
		if got, err := ask(c.cmd, "eth0"); err != nil || string(got[:len(c.want)]) != string(c.want) {
			t.Errorf("%#x: %v %v, want %v", c.cmd, got, err, c.want)
		}
	}
	if got, err := ask(unix.SIOCGIFNAME, "", 2); err != nil || unix.ByteSliceToString(got) != "eth0" {
		t.Errorf("name of 2: %q %v", got, err)
	}
	if _, err := ask(unix.SIOCGIFINDEX, "eth9"); err != unix.ENODEV {
		t.Errorf("no such interface: %v", err)
	}
	if _, err := s.Ioctl(make(testMemory, 10), unix.SIOCGIFINDEX, 0); err != unix.EFAULT {
		t.Errorf("bad memory: %v", err)
	}
	if _, err := ask(0x1234, "eth0"); err != unix.ENOTTY {
		t.Errorf("unknown request: %v", err)
	}
	mem := make(testMemory, 16+3*sizeofIfreq)
	mem[0], mem[8] = 3*sizeofIfreq, 16
	if _, err := s.Ioctl(mem, unix.SIOCGIFCONF, 0); err != nil || mem[0] != 2*sizeofIfreq ||
		unix.ByteSliceToString(mem[16:32]) != "lo" || unix.ByteSliceToString(mem[16+sizeofIfreq:32+sizeofIfreq]) != "eth0" {
		t.Errorf("SIOCGIFCONF: %v %v", mem, err)
	}
}
