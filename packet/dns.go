package packet

// DNS is a DNS message [RFC 1035 4.1.1].
//
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//	+-------------------------------+
//	|               ID              |
//	+-+-------+-+-+-+-+-+-+-+-------+
//	|Q| Opcode|A|T|R|R|Z|A|C| RCODE |
//	|R|       |A|C|D|A| |D|D|       |
//	+-+-------+-+-+-+-+-+-+-+-------+
//	|   number of questions         |
//	|   number of answers           |
//	|   number of authority records |
//	|   number of further records   |
//	+-------------------------------+
//	  questions: name, type, class
//	  records: name, type, class, 4 bytes TTL, length, data
type DNS []byte

// DNSSize is the length of a DNS header in bytes.
const DNSSize = 12

// ParseDNS validates the header at the start of b. The message, to the end of b, is validated as it is walked.
func ParseDNS(b []byte) (DNS, Fault) {
	if len(b) < DNSSize {
		return nil, short(len(b), DNSSize)
	}
	return DNS(b), Fault{}
}

// ID returns the number that a response repeats.
func (h DNS) ID() int { return int(be16(h)) }

// Response tells a response from a query.
func (h DNS) Response() bool { return h[2]&0x80 != 0 }

// Opcode returns the kind of query.
func (h DNS) Opcode() int { return int(h[2] >> 3 & 0xf) }

// RCode returns how the query went, without the upper bits that EDNS may add.
func (h DNS) RCode() int { return int(h[3] & 0xf) }

// Flags returns AA, TC, RD, RA, Z, AD and CD, from the highest of 7 bits to the lowest.
func (h DNS) Flags() int { return int(be16(h[2:]) >> 4 & 0x7f) }

// Questions, Answers, Authority and Additional return how many there should be.
func (h DNS) Questions() int { return int(be16(h[4:])) }

// Answers returns the number of answer records.
func (h DNS) Answers() int { return int(be16(h[6:])) }

// Authority returns the number of authority records.
func (h DNS) Authority() int { return int(be16(h[8:])) }

// Additional returns the number of additional records.
func (h DNS) Additional() int { return int(be16(h[10:])) }

// dnsReserved is the bit of Flags that must be zero.
const dnsReserved = 4

// Record types that are interpreted [IANA dns-parameters].
const (
	dnsA     = 1
	dnsNS    = 2
	dnsCNAME = 5
	dnsSOA   = 6
	dnsPTR   = 12
	dnsMX    = 15
	dnsTXT   = 16
	dnsAAAA  = 28
	dnsSRV   = 33
	dnsDNAME = 39
	dnsOPT   = 41
)

func dnsTypeName(typ int) string {
	switch typ {
	case dnsA:
		return "A"
	case dnsNS:
		return "NS"
	case dnsCNAME:
		return "CNAME"
	case dnsSOA:
		return "SOA"
	case dnsPTR:
		return "PTR"
	case 13:
		return "HINFO"
	case dnsMX:
		return "MX"
	case dnsTXT:
		return "TXT"
	case dnsAAAA:
		return "AAAA"
	case dnsSRV:
		return "SRV"
	case 35:
		return "NAPTR"
	case dnsDNAME:
		return "DNAME"
	case dnsOPT:
		return "OPT"
	case 43:
		return "DS"
	case 44:
		return "SSHFP"
	case 46:
		return "RRSIG"
	case 47:
		return "NSEC"
	case 48:
		return "DNSKEY"
	case 50:
		return "NSEC3"
	case 52:
		return "TLSA"
	case 64:
		return "SVCB"
	case 65:
		return "HTTPS"
	case 251:
		return "IXFR"
	case 252:
		return "AXFR"
	case 255:
		return "ANY"
	case 257:
		return "CAA"
	}
	return ""
}

func dnsRCodeName(code int) string {
	return pick(code, "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
		"NOTAUTH", "NOTZONE")
}

func dnsOpcodeName(code int) string {
	return pick(code, "query", "iquery", "status", "", "notify", "update", "dso")
}

// dnsName walks a name label by label [RFC 1035 4.1.4].
type dnsName struct {
	msg   DNS
	pos   int // of the next label
	after int // behind the name where it stands; known when it ends or when the first pointer is met
	size  int // bytes of the name so far, as it is on the wire
	limit int // pointers must lead to before here: each one further back
	label []byte
	bad   Fault // its offset counts from the message
}

const (
	maxDNSName = 255 // bytes
	dnsPointer = 0xc0
)

func newDNSName(msg DNS, pos int) dnsName {
	return dnsName{msg: msg, pos: pos, after: -1, limit: pos}
}

// next moves to the next label; false at the end or at a fault.
func (n *dnsName) next() bool {
	for {
		if n.pos >= len(n.msg) {
			n.bad = Fault{Name: truncated, Relation: '<', Got: len(n.msg), Want: n.pos + 1}
			return false
		}
		c := int(n.msg[n.pos])
		switch {
		case c == 0:
			n.end(n.pos + 1)
			return false
		case c >= dnsPointer:
			if !n.jump() {
				return false
			}
			continue
		case c > 63:
			n.bad = Fault{Name: "label-type", Relation: '!', Got: c, Hex: true, Offset: n.pos}
			return false
		}
		next := n.pos + 1 + c
		if next > len(n.msg) {
			n.bad = Fault{Name: truncated, Relation: '<', Got: len(n.msg), Want: next}
			return false
		}
		if n.size += 1 + c; n.size >= maxDNSName {
			n.bad = Fault{Name: "name-length", Relation: '>', Got: n.size + 1, Want: maxDNSName, Offset: n.pos}
			return false
		}
		n.label, n.pos = n.msg[n.pos+1:next], next
		return true
	}
}

// jump follows a pointer, which must lead back: so there can't be a loop.
func (n *dnsName) jump() bool {
	if n.pos+2 > len(n.msg) {
		n.bad = Fault{Name: truncated, Relation: '<', Got: len(n.msg), Want: n.pos + 2}
		return false
	}
	to := int(be16(n.msg[n.pos:]) & 0x3fff)
	n.end(n.pos + 2)
	if to >= n.limit {
		n.bad = Fault{Name: "name-pointer", Relation: '>', Got: to, Want: n.limit - 1, Offset: n.pos}
		return false
	}
	n.pos, n.limit = to, to
	return true
}

func (n *dnsName) end(after int) {
	if n.after < 0 {
		n.after = after
	}
}

// dnsRecord is a resource record.
type dnsRecord struct {
	name  int // where its name starts
	typ   int
	class int
	ttl   uint32
	data  int // where its data starts
	size  int // of the data
}

// dnsRecordFixed is what stands between name and data, in bytes.
const dnsRecordFixed = 10

// record reads the record at pos.
func (h DNS) record(pos int) (r dnsRecord, f Fault) {
	name := newDNSName(h, pos)
	for name.next() {
	}
	if name.bad.Bad() {
		return r, name.bad
	}
	at := name.after
	if at+dnsRecordFixed > len(h) {
		return r, Fault{Name: truncated, Relation: '<', Got: len(h), Want: at + dnsRecordFixed}
	}
	r = dnsRecord{pos, int(be16(h[at:])), int(be16(h[at+2:])), be32(h[at+4:]), at + dnsRecordFixed, int(be16(h[at+8:]))}
	if end := r.data + r.size; end > len(h) {
		return r, Fault{Name: truncated, Relation: '<', Got: len(h), Want: end}
	}
	return r, Fault{}
}
