package packet

// ProtocolName names an IP protocol, "" if it has no name here [IANA protocol-numbers].
func ProtocolName(n int) string {
	switch n {
	case ProtocolICMP:
		return "ICMP"
	case ProtocolIGMP:
		return "IGMP"
	case ProtocolIPv4:
		return "IPv4"
	case ProtocolTCP:
		return "TCP"
	case 8:
		return "EGP"
	case 9:
		return "IGP"
	case ProtocolUDP:
		return "UDP"
	case 27:
		return "RDP"
	case 33:
		return "DCCP"
	case ProtocolIPv6:
		return "IPv6"
	case 46:
		return "RSVP"
	case 47:
		return "GRE"
	case 50:
		return "ESP"
	case ProtocolICMPv6:
		return "ICMPv6"
	case 88:
		return "EIGRP"
	case 89:
		return "OSPF"
	case 94:
		return "IPIP"
	case 97:
		return "EtherIP"
	case 103:
		return "PIM"
	case 108:
		return "IPComp"
	case 112:
		return "VRRP"
	case 115:
		return "L2TP"
	case 132:
		return "SCTP"
	case 136:
		return "UDP-Lite"
	case 137:
		return "MPLS"
	case extNone:
		return "no-next-header"
	}
	return extensionName(n)
}

// EtherTypeName names an EtherType, "" if it has no name here [IANA ieee-802-numbers].
func EtherTypeName(typ uint16) string {
	switch typ {
	case EtherTypeIPv4:
		return "IPv4"
	case EtherTypeARP:
		return "ARP"
	case 0x0842:
		return "Wake-on-LAN"
	case 0x22f0:
		return "AVTP"
	case 0x6003:
		return "DECnet"
	case 0x8035:
		return "RARP"
	case 0x809b:
		return "AppleTalk"
	case 0x80f3:
		return "AARP"
	case EtherTypeVLAN:
		return "VLAN"
	case 0x8137:
		return "IPX"
	case EtherTypeIPv6:
		return "IPv6"
	case 0x8808:
		return "pause"
	case 0x8809:
		return "slow-protocols"
	case 0x8847:
		return "MPLS"
	case 0x8848:
		return "MPLS-multicast"
	case 0x8863:
		return "PPPoE-discovery"
	case 0x8864:
		return "PPPoE-session"
	case 0x888e:
		return "EAPOL"
	case 0x8892:
		return "PROFINET"
	case 0x88a2:
		return "ATAoE"
	case 0x88a4:
		return "EtherCAT"
	case EtherTypeQinQ:
		return "QinQ"
	case EtherType9100:
		return "QinQ-9100"
	case 0x88b5, 0x88b6:
		return "experimental"
	case 0x88cc:
		return "LLDP"
	case 0x88e5:
		return "MACsec"
	case 0x88f7:
		return "PTP"
	case 0x8902:
		return "CFM"
	case 0x8906:
		return "FCoE"
	case 0x8914:
		return "FIP"
	case 0x8915:
		return "RoCE"
	case 0x9000:
		return "loopback"
	}
	return ""
}
