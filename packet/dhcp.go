package packet

// DHCP is a BOOTP message, mostly of DHCP [RFC 2131 2].
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+---------------+---------------+
//	|     op        |    htype      |     hlen      |     hops      |
//	+---------------+---------------+---------------+---------------+
//	|                              xid                              |
//	+-------------------------------+-------------------------------+
//	|             secs              |             flags             |
//	+-------------------------------+-------------------------------+
//	|                 ciaddr, the client's address                  |
//	|                 yiaddr, the address offered                   |
//	|                 siaddr, of the next server                    |
//	|                 giaddr, of the relay                          |
//	+---------------------------------------------------------------+
//	|            chaddr (16 bytes), sname (64), file (128)          |
//	+---------------------------------------------------------------+
//	|          magic cookie 0x63825363, then options                |
//	+---------------------------------------------------------------+
type DHCP []byte

// DHCPSize is the length of a message up to its options, in bytes.
const DHCPSize = 240

const (
	portDHCPServer = 67
	portDHCPClient = 68

	dhcpCookie    = 0x63825363
	offDHCPHlen   = 2
	offDHCPCookie = 236
	maxHardware   = 16 // bytes
)

func isDHCP(port int) bool { return port == portDHCPServer || port == portDHCPClient }

// ParseDHCP validates the fixed part of the message at the start of b. The options, to the end of b, are validated as they
// are walked.
func ParseDHCP(b []byte) (DHCP, Fault) {
	if len(b) < DHCPSize {
		return nil, short(len(b), DHCPSize)
	}
	if n := int(b[offDHCPHlen]); n > maxHardware {
		return nil, Fault{Name: "hlen", Relation: '>', Got: n, Want: maxHardware, Offset: offDHCPHlen}
	}
	return DHCP(b), Fault{}
}

// Op returns 1 for a request, 2 for a reply.
func (h DHCP) Op() int { return int(h[0]) }

// XID returns the number of the transaction.
func (h DHCP) XID() uint32 { return be32(h[4:]) }

// ClientAddress returns ciaddr, YourAddress yiaddr, NextServer siaddr and Relay giaddr.
func (h DHCP) ClientAddress() []byte { return h[12:16] }

// YourAddress returns the address that the client is offered or given.
func (h DHCP) YourAddress() []byte { return h[16:20] }

// NextServer returns the address of the server to boot from.
func (h DHCP) NextServer() []byte { return h[20:24] }

// Relay returns the address of the relay agent.
func (h DHCP) Relay() []byte { return h[24:28] }

// HardwareAddress returns chaddr.
func (h DHCP) HardwareAddress() []byte { return h[28 : 28+int(h[offDHCPHlen])] }

// Cookie returns what stands before the options.
func (h DHCP) Cookie() uint32 { return be32(h[offDHCPCookie:]) }

// DHCP options that are interpreted [IANA bootp-dhcp-parameters].
const (
	dhcpPad     = 0
	dhcpType    = 53
	dhcpEnd     = 255
	dhcpParams  = 55
	dhcpClient  = 61
	dhcpVendor  = 60
	dhcpServer  = 54
	dhcpRequest = 50
	dhcpLease   = 51
)

// dhcpTLV walks the options of DHCP: code, length of the body, body; 0 and 255 are single bytes [RFC 2132 2].
type dhcpTLV struct {
	b     []byte
	pos   int
	kind  int
	at    int
	body  []byte
	bad   Fault
	ended bool // by the end option
}

func (o *dhcpTLV) next() bool {
	for o.pos < len(o.b) && o.b[o.pos] == dhcpPad {
		o.pos++
	}
	if o.pos >= len(o.b) {
		return false
	}
	if o.b[o.pos] == dhcpEnd {
		o.ended, o.pos = true, len(o.b)
		return false
	}
	left := len(o.b) - o.pos
	if left < 2 {
		o.bad = Fault{Name: "option-length", Relation: '<', Got: left, Want: 2, Offset: o.pos}
		return false
	}
	size := 2 + int(o.b[o.pos+1])
	if size > left {
		o.bad = Fault{Name: "option-length", Relation: '>', Got: size, Want: left, Offset: o.pos + 1}
		return false
	}
	o.at, o.kind, o.body = o.pos, int(o.b[o.pos]), o.b[o.pos+2:o.pos+size]
	o.pos += size
	return true
}

func dhcpTypeName(typ int) string {
	return pick(typ, "", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform", "force-renew",
		"lease-query", "lease-unassigned", "lease-unknown", "lease-active")
}

// dhcpForm tells how the body of an option is printed.
type dhcpForm uint8

const (
	dhcpBytes     dhcpForm = iota // its length
	dhcpAddresses                 // IPv4
	dhcpNumber                    // 1, 2 or 4 bytes
	dhcpText
)

func dhcpOption(kind int) (name string, form dhcpForm) {
	switch kind {
	case 1:
		return "mask", dhcpAddresses
	case 3:
		return "router", dhcpAddresses
	case 6:
		return "dns", dhcpAddresses
	case 12:
		return "host", dhcpText
	case 15:
		return "domain", dhcpText
	case 26:
		return "mtu", dhcpNumber
	case 28:
		return "broadcast", dhcpAddresses
	case 33:
		return "routes", dhcpAddresses
	case 42:
		return "ntp", dhcpAddresses
	case 43:
		return "vendor-options", dhcpBytes
	case dhcpRequest:
		return "request", dhcpAddresses
	case dhcpLease:
		return "lease", dhcpNumber
	case 52:
		return "overload", dhcpNumber
	case dhcpServer:
		return "server", dhcpAddresses
	case dhcpParams:
		return "params", dhcpBytes
	case 56:
		return "message", dhcpText
	case 57:
		return "max-size", dhcpNumber
	case 58:
		return "renew", dhcpNumber
	case 59:
		return "rebind", dhcpNumber
	case dhcpVendor:
		return "vendor", dhcpText
	case dhcpClient:
		return "client", dhcpBytes
	case 66:
		return "tftp", dhcpText
	case 67:
		return "bootfile", dhcpText
	case 81:
		return "fqdn", dhcpBytes
	case 82:
		return "relay", dhcpBytes
	case 93:
		return "arch", dhcpNumber
	case 119:
		return "search", dhcpBytes
	case 121:
		return "classless-routes", dhcpBytes
	}
	return "", dhcpBytes
}
