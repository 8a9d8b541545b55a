package packet

func ethernetLines() []lineTest {
	udp := ip4(header4{proto: ProtocolUDP}, udp4(1, 2, fill(30)))
	words := "IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len=30 ck=ok"
	return []lineTest{
		{"empty", nil, "Ethernet !truncated 0<14 byte 0"},
		{"short", ether(0)[:10], "Ethernet !truncated 10<14 byte 0"},
		{"addresses only", ether(0)[:13], "Ethernet !truncated 13<14 byte 0"},
		{"header only", ether(EtherTypeIPv4), "IPv4 !truncated 0<20 byte 14"},
		{"multicast source", join(macGuest, macAll, be(EtherTypeIPv4, 2), udp),
			"ff:ff:ff:ff:ff:ff>52:54:00:12:34:56 !src-multicast byte 6 " + words},
		{"unknown type", ether(0x1234, fill(46)), "!ethertype-unknown 0x1234 byte 12 len=46"},
		{"known type", ether(0x88cc, fill(46)), "LLDP len=46"},
		{"undefined type", ether(0x05e0, fill(46)), "!ethertype 0x5e0<0x600 byte 12"},
		{"tag", ether(EtherTypeVLAN, vlanTag(0xa005, EtherTypeIPv4), udp), "vlan 5/p5 " + words},
		{"tag with DEI", ether(EtherTypeVLAN, vlanTag(0x1005, EtherTypeIPv4), udp), "vlan 5/p0/dei " + words},
		{"two tags", ether(EtherTypeQinQ, vlanTag(0x0064, EtherTypeVLAN), vlanTag(0x20c8, EtherTypeIPv4), udp), "svlan 100/p0 vlan 200/p1 " + words},
		{"three tags", ether(EtherTypeQinQ, vlanTag(1, EtherTypeVLAN), vlanTag(2, EtherTypeVLAN), vlanTag(3, EtherTypeIPv4), udp),
			"svlan 1/p0 vlan 2/p0 vlan 3/p0 !vlan-depth 3>2 byte 22 " + words},
		{"nine tags", ether(EtherTypeVLAN, vlanTag(1, 0x8100), vlanTag(2, 0x8100), vlanTag(3, 0x8100), vlanTag(4, 0x8100), vlanTag(5, 0x8100),
			vlanTag(6, 0x8100), vlanTag(7, 0x8100), vlanTag(8, 0x8100), vlanTag(9, 0x8100)),
			"vlan 1/p0 vlan 2/p0 vlan 3/p0 !vlan-depth 3>2 byte 22 vlan 4/p0 !vlan-depth 4>2 byte 26 vlan 5/p0 !vlan-depth 5>2 byte 30" +
				" vlan 6/p0 !vlan-depth 6>2 byte 34 vlan 7/p0 !vlan-depth 7>2 byte 38 vlan 8/p0 !vlan-depth 8>2 byte 42 ..."},
		{"truncated tag", ether(EtherTypeVLAN, be(5, 2)), "vlan 5/p0 !truncated 2<4 byte 14"},
		{"reserved VLAN", ether(EtherTypeVLAN, vlanTag(0xfff, EtherTypeIPv4), udp), "vlan 4095/p0 !vlan-id 4095>4094 byte 14 " + words},
		{"unknown type in a tag", ether(EtherTypeVLAN, vlanTag(1, 0x4321)), "vlan 1/p0 !ethertype-unknown 0x4321 byte 16 len=0"},
		{"802.3", ether(38, unhex("424203"), fill(43)), "802.3 len=38 LLC dsap=0x42 ssap=0x42 ctl=0x03 (STP) data=35 pad=8"},
		{"802.3 longer than the frame", ether(100, unhex("424203"), fill(43)),
			"802.3 len=100 !length 100>46 byte 12 LLC dsap=0x42 ssap=0x42 ctl=0x03 (STP) data=43"},
		{"802.3 without LLC", ether(2, fill(46)), "802.3 len=2 LLC !truncated 2<3 byte 14 pad=44"},
		{"raw IPX", ether(46, unhex("ffff"), fill(44)), "802.3 len=46 LLC (IPX)"},
		{"SNAP", ether(46, unhex("aaaa03 00000c 2000"), fill(38)),
			"802.3 len=46 LLC dsap=0xaa ssap=0xaa ctl=0x03 (SNAP) SNAP oui=0x00000c type=0x2000 (CDP) data=38"},
		{"IP in SNAP", ether(66, unhex("aaaa03 000000 0800"), udp),
			"802.3 len=66 LLC dsap=0xaa ssap=0xaa ctl=0x03 (SNAP) SNAP oui=0x000000 type=0x0800 IPv4 10.0.2.2:1>10.0.2.15:2 ttl=64 UDP len=30 ck=ok"},
		{"truncated SNAP", ether(6, unhex("aaaa03 000000"), fill(40)),
			"802.3 len=6 LLC dsap=0xaa ssap=0xaa ctl=0x03 (SNAP) SNAP !truncated 3<5 byte 17 pad=40"},
	}
}

func arpLines() []lineTest {
	none := make([]byte, 6)
	zero := make([]byte, 4)
	request := arpMessage(1, macGateway, ip4Gateway, none, ip4Guest)
	return []lineTest{
		{"request", ether(EtherTypeARP, request), "ARP who-has 10.0.2.15 tell 10.0.2.2"},
		{"padded", ether(EtherTypeARP, request, make([]byte, 18)), "ARP who-has 10.0.2.15 tell 10.0.2.2 pad=18"},
		{"reply", ether(EtherTypeARP, arpMessage(2, macGateway, ip4Gateway, macGuest, ip4Guest)), "ARP 10.0.2.2 is-at 52:55:0a:00:02:02"},
		{"probe", ether(EtherTypeARP, arpMessage(1, macGateway, zero, none, ip4Gateway)), "ARP probe who-has 10.0.2.2"},
		{"announcement", ether(EtherTypeARP, arpMessage(1, macGateway, ip4Gateway, none, ip4Gateway)),
			"ARP announcement 10.0.2.2 is-at 52:55:0a:00:02:02"},
		{"gratuitous", ether(EtherTypeARP, arpMessage(2, macGateway, ip4Gateway, macAll, ip4Gateway)),
			"ARP gratuitous 10.0.2.2 is-at 52:55:0a:00:02:02"},
		{"reverse request", ether(EtherTypeARP, arpMessage(3, macGateway, zero, macGateway, zero)),
			"ARP reverse who-is 52:55:0a:00:02:02 tell 52:55:0a:00:02:02"},
		{"reverse reply", ether(EtherTypeARP, arpMessage(4, macGateway, ip4Gateway, macGuest, ip4Guest)),
			"ARP reverse 52:54:00:12:34:56 is-at 10.0.2.15"},
		{"inverse request", ether(EtherTypeARP, arpMessage(8, macGateway, ip4Gateway, macGuest, ip4Guest)),
			"ARP op=8 (inarp-request) 10.0.2.2>10.0.2.15"},
		{"unknown operation", ether(EtherTypeARP, arpMessage(77, macGateway, ip4Gateway, macGuest, ip4Guest)),
			"ARP op=77 10.0.2.2>10.0.2.15 !op-unknown 77 byte 20"},
		{"broadcast sender", ether(EtherTypeARP, arpMessage(1, macGateway, []byte{255, 255, 255, 255}, none, []byte{255, 255, 255, 255})),
			"ARP announcement 255.255.255.255 is-at 52:55:0a:00:02:02 !src-broadcast byte 28"},
		{"other sender", ether(EtherTypeARP, arpMessage(1, macGuest, ip4Gateway, none, ip4Guest)),
			"ARP who-has 10.0.2.15 tell 10.0.2.2 !sender 52:54:00:12:34:56 want 52:55:0a:00:02:02 byte 22"},
		{"hardware type", ether(EtherTypeARP, set(request, 1, 6)), "ARP op=1 (request) !htype 6 want 1 byte 14"},
		{"protocol type", ether(EtherTypeARP, set(request, 2, 0x86, 0xdd)), "ARP op=1 (request) !ptype 0x86dd want 0x800 byte 16"},
		{"hardware length", ether(EtherTypeARP, set(request, 4, 5), fill(4)), "ARP op=1 (request) !hlen 5 want 6 byte 18 pad=6"},
		{"protocol length", ether(EtherTypeARP, set(request, 5, 3)), "ARP op=1 (request) !plen 3 want 4 byte 19 pad=2"},
		{"protocol length beyond the frame", ether(EtherTypeARP, set(request, 5, 16)), "ARP op=1 (request) !plen 16 want 4 byte 19 !truncated 28<52 byte 14"},
		{"short", ether(EtherTypeARP, request[:7]), "ARP !truncated 7<8 byte 14"},
		{"short addresses", ether(EtherTypeARP, request[:20]), "ARP op=1 (request) !truncated 20<28 byte 14"},
	}
}
