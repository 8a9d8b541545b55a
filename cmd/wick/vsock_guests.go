package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"wick/vmm/vsockhost"
	"wick/vsock"
	"wick/vsock/hybrid"
)

// servedGuest is a machine that somebody else starts.
type servedGuest struct {
	cid    uint32
	socket string // where its QEMU connects
	path   string // where we are connected to
	maps   []vsockhost.Map
	group  string // "" for none
}

// parseGuests reads all --guest.
func parseGuests(list []string) (all []servedGuest, err error) {
	if len(list) == 0 {
		return nil, errors.New("which machines? wick vsock serve --guest cid=CID,socket=SOCKET,path=PATH")
	}
	for _, s := range list {
		g, err := parseGuest(s)
		if err == nil {
			err = g.check(all)
		}
		if err != nil {
			return nil, fmt.Errorf("--guest %s: %w", s, err)
		}
		all = append(all, g)
	}
	return all, nil
}

func parseGuest(s string) (g servedGuest, err error) {
	seen := make(map[string]bool)
	for _, field := range strings.Split(s, ",") {
		name, value, _ := strings.Cut(field, "=")
		if seen[name] && name != "map" {
			return g, fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if err := g.set(name, value); err != nil {
			return g, err
		}
	}
	if g.cid == 0 || g.socket == "" || g.path == "" {
		return g, errors.New("want cid, socket and path")
	}
	return g, nil
}

// set takes one field of a --guest.
func (g *servedGuest) set(name, value string) error {
	switch name {
	case "cid":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil || uint32(n) < vsock.MinGuest || uint32(n) > vsock.MaxGuest {
			return fmt.Errorf("cid %q is not between %d and %d", value, vsock.MinGuest, vsock.MaxGuest)
		}
		g.cid = uint32(n)
	case "socket":
		g.socket = value
		return hybrid.CheckPath(value)
	case "path":
		g.path = value
		return hybrid.CheckPath(value)
	case "map":
		m, err := vsockhost.ParseMap(value)
		if err != nil {
			return fmt.Errorf("map %w", err)
		}
		g.maps, err = addMap(g.maps, m)
		return err
	case "group":
		if value == "" {
			return errors.New("group has no name")
		}
		g.group = value
	default:
		return fmt.Errorf("%q is none of cid, socket, path, map, group", name)
	}
	return nil
}

// check tells whether a machine has something that is another one's. A guest reaches all sockets that are called PATH_PORT, so no
// other socket may be.
func (g *servedGuest) check(others []servedGuest) error {
	if samePath(g.socket, g.path) {
		return fmt.Errorf("socket %s is there twice", g.path)
	}
	for i := range others {
		o := &others[i]
		if g.cid == o.cid {
			return fmt.Errorf("CID %d is there twice", g.cid)
		}
		for _, mine := range []string{g.socket, g.path} {
			if samePath(mine, o.socket) || samePath(mine, o.path) {
				return fmt.Errorf("socket %s is there twice", mine)
			}
		}
	}
	for _, o := range slices.Concat(others, []servedGuest{*g}) {
		for _, pair := range [][2]string{{g.path, o.socket}, {g.path, o.path}, {o.path, g.socket}, {o.path, g.path}} {
			if isPort(pair[0], pair[1]) {
				return fmt.Errorf("%s would be a port of the host for the guest of %s", pair[1], pair[0])
			}
		}
	}
	return nil
}

// samePath tells whether two paths lead to one place, as far as their names and the links to their folders tell.
func samePath(a, b string) bool { return fullPath(a) == fullPath(b) }

func fullPath(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(full)); err == nil {
		return filepath.Join(dir, filepath.Base(full))
	}
	return full
}

// isPort tells whether a socket has a name that makes it a port of the host for the guest whose socket is path.
func isPort(path, socket string) bool {
	port, ok := strings.CutPrefix(fullPath(socket), fullPath(path)+"_")
	if !ok {
		return false
	}
	_, err := vsockhost.ParsePort(port)
	return err == nil
}

// addMap adds a map to others.
func addMap(maps []vsockhost.Map, m vsockhost.Map) ([]vsockhost.Map, error) {
	for _, o := range maps {
		if o.Port == m.Port {
			return nil, fmt.Errorf("port %d is mapped twice", m.Port)
		}
	}
	return append(maps, m), nil
}
