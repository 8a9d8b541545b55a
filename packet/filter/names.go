package filter

// ipProtocols are the protocols above IP by name [IANA protocol-numbers].
var ipProtocols = map[string]uint32{
	"icmp": 1, "igmp": 2, "igrp": 9, "tcp": 6, "udp": 17, "esp": 50, "ah": 51, "icmp6": 58, "ipv6-icmp": 58, "pim": 103, "vrrp": 112,
	"carp": 112, "sctp": 132, "ipip": 4, "ipencap": 4, "gre": 47, "ospf": 89, "dccp": 33, "udplite": 136, "l2tp": 115, "hopopt": 0,
	"ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "ipv6-nonxt": 59, "ipv6-opts": 60,
}

// etherTypes are the protocols above Ethernet by name [IANA ieee-802-numbers].
var etherTypes = map[string]uint32{
	"ip": typeIP, "ip6": typeIP6, "arp": typeARP, "rarp": typeRARP, "atalk": 0x809b, "aarp": 0x80f3, "decnet": 0x6003, "lat": 0x6004,
	"sca": 0x6007, "moprc": 0x6002, "mopdl": 0x6001, "loopback": 0x9000,
}

// services are ports by name [IANA service-names].
var services = map[string]uint32{
	"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "ftp-data": 20, "ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "time": 37,
	"domain": 53, "bootps": 67, "bootpc": 68, "tftp": 69, "http": 80, "kerberos": 88, "pop3": 110, "sunrpc": 111, "ntp": 123, "imap": 143,
	"imap2": 143, "snmp": 161, "snmp-trap": 162, "bgp": 179, "ldap": 389, "https": 443, "microsoft-ds": 445, "submission": 587, "ldaps": 636,
	"domain-s": 853, "imaps": 993, "pop3s": 995, "nfs": 2049, "mysql": 3306, "rdp": 3389, "mdns": 5353, "llmnr": 5355, "postgresql": 5432,
	"amqp": 5672, "http-alt": 8080,
}

// constantName returns the number behind a name that stands in arithmetic: offsets and values of header fields.
func constantName(name string) (uint32, bool) {
	n, ok := constants[name]
	return n, ok
}

var constants = map[string]uint32{
	"tcpflags": 13, "tcp-fin": 0x01, "tcp-syn": 0x02, "tcp-rst": 0x04, "tcp-push": 0x08, "tcp-ack": 0x10, "tcp-urg": 0x20, "tcp-ece": 0x40,
	"tcp-cwr": 0x80,

	"icmptype": 0, "icmpcode": 1, "icmp-echoreply": 0, "icmp-unreach": 3, "icmp-sourcequench": 4, "icmp-redirect": 5, "icmp-echo": 8,
	"icmp-routeradvert": 9, "icmp-routersolicit": 10, "icmp-timxceed": 11, "icmp-paramprob": 12, "icmp-tstamp": 13, "icmp-tstampreply": 14,
	"icmp-ireq": 15, "icmp-ireqreply": 16, "icmp-maskreq": 17, "icmp-maskreply": 18,

	"icmp6type": 0, "icmp6code": 1, "icmp6-destinationunreach": 1, "icmp6-packettoobig": 2, "icmp6-timeexceeded": 3,
	"icmp6-parameterproblem": 4, "icmp6-echo": 128, "icmp6-echoreply": 129, "icmp6-multicastlistenerquery": 130,
	"icmp6-multicastlistenerreportv1": 131, "icmp6-multicastlistenerdone": 132, "icmp6-routersolicit": 133, "icmp6-routeradvert": 134,
	"icmp6-neighborsolicit": 135, "icmp6-neighboradvert": 136, "icmp6-redirect": 137, "icmp6-routerrenum": 138, "icmp6-nodeinfoquery": 139,
	"icmp6-nodeinforesponse": 140, "icmp6-ineighbordiscoverysolicit": 141, "icmp6-ineighbordiscoveryadvert": 142,
	"icmp6-multicastlistenerreportv2": 143, "icmp6-homeagentdiscoveryrequest": 144, "icmp6-homeagentdiscoveryreply": 145,
	"icmp6-mobileprefixsolicit": 146, "icmp6-mobileprefixadvert": 147, "icmp6-certpathsolicit": 148, "icmp6-certpathadvert": 149,
	"icmp6-multicastrouteradvert": 151, "icmp6-multicastroutersolicit": 152, "icmp6-multicastroutertermination": 153,
}

// unsupported are keywords of tcpdump that this package doesn't know.
var unsupported = []string{"gateway", "protochain", "mpls", "pppoed", "pppoes", "geneve", "vxlan", "gre-protocol", "wlan", "type", "subtype", "dir",
	"ra", "ta", "addr1", "addr2", "addr3", "addr4", "fddi", "tr", "ppp", "slip", "rnr", "rulenum", "reason", "rset", "ruleset", "srnr", "subrulenum",
	"action", "lane", "oam", "oamf4", "connectmsg", "metaconnect", "bcc", "sc", "ilmic", "vpi", "vci", "llc", "iso", "clnp", "esis", "isis", "ipx",
	"netbeui", "csnp", "psnp", "iih", "lsp", "snp"}
