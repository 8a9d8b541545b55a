package programs

import "fmt"

// Suite is a program that runs named cases and prints `ok NAME` for each that has passed.
type Suite struct {
	Name string
	Go   string // folder of a Go program, or ""
	C    string // name of a C program, or ""

	Network bool // it needs a network card
	Root    bool // it needs to be root's
	Alone   bool // natively: it takes all that its user may have of something, which those beside it would miss

	// Flags and Env are what the program needs to find its peers.
	Flags func(p Peers) []string
	Env   func(p Peers) []string

	// Heavy are cases that take long in a machine that is emulated; they are run apart from the others.
	Heavy []string
}

// Peers are the addresses of the servers of package peer, as the program sees them.
type Peers struct {
	TCP, UDP   string
	TCP6, UDP6 string // "" if there is no IPv6
	Interface  InterfaceFacts
}

// InterfaceFacts are what the program's network card must show; empty ones aren't checked.
type InterfaceFacts struct {
	Address string // with the prefix length
	MAC     string
	DNS     string
}

// Suites are all programs with cases.
var Suites = []Suite{
	{Name: "files", Go: "files"},
	{Name: "threads", Go: "threads"},
	{Name: "signals", Go: "signals"},
	{Name: "memory", Go: "memory"},
	{Name: "epoll", Go: "epoll"},
	{Name: "system", Go: "system"},
	{Name: "tcp", Go: "tcp", Network: true, Flags: func(p Peers) []string { return []string{"-peer", p.TCP} },
		Heavy: []string{"loopback-64m", "peer-64m", "peer-in-a-row", "peer-at-once"}},
	{Name: "udp", Go: "udp", Network: true, Flags: func(p Peers) []string { return []string{"-peer", p.UDP} }},
	{Name: "netif", Go: "netif", Network: true, Flags: netifFlags},
	{Name: "processes", Go: "processes"},
	{Name: "c-processes", C: "processes"},
	{Name: "c-children", C: "children"},
	{Name: "c-stops", C: "stops"},
	{Name: "c-storm", C: "storm", Alone: true, Heavy: []string{"children", "copies", "largest", "in-a-row"}},
	{Name: "c-pthreads", C: "pthreads"},
	{Name: "c-signals", C: "signals"},
	{Name: "c-memory", C: "memory"},
	{Name: "c-fp", C: "fp"},
	{Name: "c-xstate", C: "xstate"},
	{Name: "c-hostile", C: "hostile"},
	{Name: "c-posix", C: "posix"},
	{Name: "c-timers", C: "timers"},
	{Name: "c-clocks", C: "clocks"},
	{Name: "c-limits", C: "limits", Alone: true, Heavy: []string{"mappings", "queue-bytes", "datagrams"}},
	{Name: "c-linux", C: "linux"},
	{Name: "c-ids", C: "ids", Root: true},
	{Name: "c-sockets", C: "sockets", Network: true, Env: func(p Peers) []string { return []string{"PEER_TCP=" + p.TCP, "PEER_UDP=" + p.UDP} }},
}

func netifFlags(p Peers) []string {
	var flags []string
	for _, f := range []struct{ name, value string }{
		{"-peer6-tcp", p.TCP6}, {"-peer6-udp", p.UDP6},
		{"-address", p.Interface.Address}, {"-mac", p.Interface.MAC}, {"-dns", p.Interface.DNS},
	} {
		if f.value != "" {
			flags = append(flags, f.name, f.value)
		}
	}
	return flags
}

// Build builds the program; a Go program takes no libc.
func (s *Suite) Build(libc Libc) (string, error) {
	if s.Go != "" {
		return GoBinary(s.Go)
	}
	return CBinary(s.C, libc)
}

// Command returns the arguments and environment for the cases, all if there are none.
func (s *Suite) Command(p Peers, cases ...string) (args, env []string) {
	if s.Flags != nil {
		args = s.Flags(p)
	}
	if s.Env != nil {
		env = s.Env(p)
	}
	return append(args, cases...), env
}

// Find returns the suite of a name; it panics if there is none.
func Find(name string) *Suite {
	for i := range Suites {
		if Suites[i].Name == name {
			return &Suites[i]
		}
	}
	panic(fmt.Sprintf("no suite %q", name))
}
