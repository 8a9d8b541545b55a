package tsharkcheck

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Line is one packet of a dump.
type Line struct {
	Number  uint64
	Sent    bool // by the card
	Dropped bool // by the driver
	Facts   Facts
}

var (
	headForm = regexp.MustCompile(`#(\d+) -?\d+\.\d{6} \S+ ([<>-]) (\d+) `)
	gapForm  = regexp.MustCompile(`^\.\.\. (\d+) packets? not shown$`)
	ethForm  = regexp.MustCompile(`^([0-9a-f:]{17})>([0-9a-f:]{17})$`)
	pair4    = regexp.MustCompile(`^([0-9.]{7,15})(?::(\d+))?>([0-9.]{7,15})(?::(\d+))?$`)
	pair6    = regexp.MustCompile(`^\[?([0-9a-f:.]+?)(?:\]:(\d+))?>\[?([0-9a-f:.]+?)(?:\]:(\d+))?$`)
	listForm = regexp.MustCompile(`<[^<>]*>( |$)|<IPv[46] [^<]*?>[^<]*?>( |$)`)
	vsockEnd = regexp.MustCompile(`^[a-z]+\((\d+)\):(\d+)>[a-z]+\((\d+)\):(\d+)$`)
	typeForm = regexp.MustCompile(`^\S*?[(-](\d+)\)?$`)
)

// ParseLine reads the line of a packet, which may stand behind other text; false if there is none.
func ParseLine(text string) (Line, bool) {
	at := headForm.FindStringSubmatchIndex(text)
	if at == nil {
		return Line{}, false
	}
	m := headForm.FindStringSubmatch(text)
	l := Line{Sent: m[2] == ">", Facts: Facts{"wire": m[3]}}
	l.Number, _ = strconv.ParseUint(m[1], 10, 64)
	rest := text[at[1]:]
	l.Dropped = strings.Contains(rest, "!dropped(")
	if strings.Contains(rest, " captured=") {
		l.Facts["cut"] = "cut"
	}
	w := &words{facts: l.Facts}
	w.options(rest)
	w.list = strings.Fields(listForm.ReplaceAllString(rest, "$1$2"))
	w.link()
	return l, true
}

// words walks the words of a line.
type words struct {
	list   []string
	facts  Facts
	tunnel bool // behind the addresses of IP in IP
}

func (w *words) next() string {
	if len(w.list) == 0 {
		return ""
	}
	s := w.list[0]
	w.list = w.list[1:]
	return s
}

// options takes the TCP options that are compared.
func (w *words) options(text string) {
	_, list, ok := strings.Cut(text, " <")
	if !ok || !strings.Contains(text, " TCP ") {
		return
	}
	list, _, _ = strings.Cut(list, ">")
	for item := range strings.SplitSeq(list, ",") {
		switch name, value, _ := strings.Cut(item, " "); name {
		case "mss", "ws", "ts":
			if !strings.HasPrefix(value, "len=") {
				w.facts[name] = value
			}
		}
	}
}

// link reads up to the network layer.
func (w *words) link() {
	for len(w.list) > 0 {
		switch s := w.next(); {
		case ethForm.MatchString(s):
			m := ethForm.FindStringSubmatch(s)
			w.facts["eth.src"], w.facts["eth.dst"] = m[1], m[2]
		case s == "vlan" || s == "svlan":
			id, _, _ := strings.Cut(w.next(), "/")
			if s == "vlan" && w.facts["vlan"] == "" {
				w.facts["vlan"] = id
			}
		case s == "vsock":
			w.vsock()
			return
		case s == "ARP":
			w.facts["net"] = s
			w.arp()
			return
		case s == "IPv4":
			w.facts["net"] = s
			w.network(pair4)
			return
		case s == "IPv6":
			w.facts["net"] = s
			w.network(pair6)
			return
		}
	}
}

// vsockTypes and vsockOps are the names that stand for numbers.
var (
	vsockTypes = []string{"", "stream", "seqpacket"}
	vsockOps   = []string{"", "REQUEST", "RESPONSE", "RST", "SHUTDOWN", "RW", "CREDIT_UPDATE", "CREDIT_REQUEST"}
)

// vsock reads the words of a virtio-vsock packet.
func (w *words) vsock() {
	f := w.facts
	m := vsockEnd.FindStringSubmatch(w.next())
	if m == nil {
		return
	}
	f["net"], f["src"], f["sport"], f["dst"], f["dport"] = "vsock", m[1], m[2], m[3], m[4]
	for _, n := range []struct {
		fact, prefix string
		names        []string
	}{{"vsock.type", "type-", vsockTypes}, {"vsock.op", "op-", vsockOps}} {
		s := w.next()
		if i := slices.Index(n.names, s); i > 0 {
			f[n.fact] = strconv.Itoa(i)
		} else if number, ok := strings.CutPrefix(s, n.prefix); ok {
			f[n.fact] = number
		}
	}
	if f["vsock.type"] == "" { // another transport
		return
	}
	f["len"] = "0" // which lines of control packets leave out
	for len(w.list) > 0 {
		if name, value, ok := strings.Cut(w.next(), "="); ok && (name == "len" || name == "buf_alloc" || name == "fwd_cnt") {
			f[name] = value
		}
	}
}

// arp reads the words of an ARP message.
func (w *words) arp() {
	f := w.facts
	switch s := w.next(); s {
	case "who-has":
		f["arp.op"], f["arp.target"] = "1", w.next()
		w.next() // tell
		f["arp.sender"] = w.next()
	case "probe":
		w.next() // who-has
		f["arp.op"], f["arp.sender"], f["arp.target"] = "1", "0.0.0.0", w.next()
	case "announcement":
		f["arp.op"], f["arp.sender"] = "1", w.next()
		f["arp.target"] = f["arp.sender"]
	case "reverse":
		if f["arp.op"] = "4"; w.next() == "who-is" {
			f["arp.op"] = "3"
		}
	case "gratuitous":
		f["arp.op"], f["arp.sender"] = "2", w.next()
		f["arp.target"] = f["arp.sender"]
	default:
		if op, ok := strings.CutPrefix(s, "op="); ok {
			f["arp.op"] = op
			if len(w.list) > 0 && strings.HasPrefix(w.list[0], "(") {
				w.next() // its name
			}
			if len(w.list) > 0 {
				if m := pair4.FindStringSubmatch(w.list[0]); m != nil {
					f["arp.sender"], f["arp.target"] = m[1], m[3]
				}
			}
			return
		}
		if pair4.MatchString(s + ">0.0.0.0") { // the line of a reply doesn't say whom it is for
			f["arp.op"], f["arp.sender"] = "2", s
		}
	}
}

// network reads IP and what stands above.
func (w *words) network(pair *regexp.Regexp) {
	f := w.facts
	if m := pair.FindStringSubmatch(w.next()); m != nil {
		f["src"], f["dst"] = m[1], m[3]
		if m[2] != "" {
			f["sport"], f["dport"] = m[2], m[4]
		}
	}
	for len(w.list) > 0 {
		s := w.next()
		name, value, _ := strings.Cut(s, "=")
		switch {
		case s == "IPv4" || s == "IPv6": // in IP: its ports count
			w.tunnel = true
			w.inner()
		case s == "TCP" || s == "UDP" || s == "ICMP" || s == "ICMPv6":
			w.transport(s)
			return
		case w.tunnel: // the rest is that of the outer header
		case name == "ttl" || name == "hop":
			f["ttl"] = value
		case name == "id":
			f["id"] = value
		case s == "DF":
			f["DF"] = "set"
		case s == "frag":
			f["frag"], _, _ = strings.Cut(w.next(), "+")
		case name == "hdr-ck":
			w.check("hdr-ck", "hdr-want", value)
		}
	}
}

// inner reads the ports of IP in IP.
func (w *words) inner() {
	if len(w.list) == 0 {
		return
	}
	for _, pair := range []*regexp.Regexp{pair4, pair6} {
		if m := pair.FindStringSubmatch(w.list[0]); m != nil && m[2] != "" {
			w.facts["sport"], w.facts["dport"] = m[2], m[4]
			w.next()
			return
		}
	}
}

// transport reads what stands behind the name of the transport. A later fragment has nothing to compare.
func (w *words) transport(name string) {
	f := w.facts
	if len(w.list) > 0 && w.list[0] == "(not" {
		return
	}
	f["proto"] = name
	if name == "ICMP" || name == "ICMPv6" {
		w.icmpType(name)
	}
	for len(w.list) > 0 {
		s := w.next()
		if strings.HasPrefix(s, "[") && name == "TCP" {
			f["flags"] = s
			continue
		}
		key, value, ok := strings.Cut(s, "=")
		switch {
		case !ok:
		case key == "ck":
			w.check("ck", "want", value)
			return
		case key == "id" || key == "seq" && name != "TCP":
			f["icmp."+key] = value
		case key == "win":
			raw, scaled, _ := strings.Cut(strings.TrimSuffix(value, ")"), "(")
			f["win"] = raw
			if scaled != "" {
				f["scaled"] = scaled
			}
		case key == "len" && (name == "TCP" || name == "UDP"), key == "seq", key == "ack", key == "target":
			f[key] = value
		}
	}
}

// check reads a verdict: a bad one goes on in the next word.
func (w *words) check(name, want, value string) {
	if value == "!bad(want" {
		w.facts[name] = "bad"
		w.facts[want] = strings.TrimSuffix(w.next(), ")")
		return
	}
	w.facts[name], _, _ = strings.Cut(value, "(")
}

// icmpNumbers are the types whose lines have no number.
var icmpNumbers = map[string]map[string]string{
	"ICMP": {"echo-reply": "0", "echo-request": "8", "source-quench": "4", "timestamp-request": "13", "timestamp-reply": "14"},
	"ICMPv6": {"echo-request": "128", "echo-reply": "129", "mld-query": "130", "mld-report": "131", "mld-done": "132",
		"router-solicit": "133", "router-advert": "134", "neighbor-solicit": "135", "neighbor-advert": "136", "redirect": "137",
		"mld2-report": "143", "packet-too-big": "2"},
}

// icmpType reads type and code.
func (w *words) icmpType(name string) {
	if len(w.list) == 0 {
		return
	}
	if n, ok := icmpNumbers[name][w.list[0]]; ok {
		w.next()
		w.facts["icmp.type"], w.facts["icmp.code"] = n, "0"
		if i := slices.Index(w.list, "!code"); i >= 0 && i+1 < len(w.list) {
			w.facts["icmp.code"] = w.list[i+1]
		}
		return
	}
	for _, fact := range []string{"icmp.type", "icmp.code"} {
		if m := typeForm.FindStringSubmatch(w.next()); m != nil {
			w.facts[fact] = m[1]
		}
	}
}
