package bundle

import (
	"encoding/binary"
	"time"
)

// Tags of the config records. A record whose field has its zero value is left out. Tags never
// descend; those of lists repeat, in order, and no other does. A number is never used again for
// something else: change version instead.
const (
	tagArg      = 1
	tagEnv      = 2
	tagPath     = 3
	tagCwd      = 4
	tagTerminal = 5 // 1 byte, bit N for descriptor N
	tagWindow   = 6 // rows and columns, 2 bytes each
	tagAddress  = 7
	tagGateway  = 8
	tagDNS      = 9
	tagHost     = 10
	tagDump     = 11
	tagVerbose  = 12 // no bytes
	tagSeed     = 13
	tagNow      = 14 // seconds since 1970 (8 bytes) and nanoseconds (4)
	tagCapture  = 15 // SnapLen (4 bytes)
	tagTiming   = 16 // no bytes
)

// appendConfig appends the records of c to b.
func appendConfig(b []byte, c *Config) []byte {
	for _, arg := range c.Args {
		b = appendRecord(b, tagArg, arg)
	}
	for _, env := range c.Env {
		b = appendRecord(b, tagEnv, env)
	}
	b = appendString(b, tagPath, c.Path)
	b = appendString(b, tagCwd, c.Cwd)
	var terminals byte
	for i, yes := range c.Terminal {
		if yes {
			terminals |= 1 << i
		}
	}
	if terminals != 0 {
		b = appendRecord(b, tagTerminal, []byte{terminals})
	}
	if c.Rows != 0 || c.Columns != 0 {
		window := binary.LittleEndian.AppendUint16(nil, c.Rows)
		b = appendRecord(b, tagWindow, binary.LittleEndian.AppendUint16(window, c.Columns))
	}
	b = appendString(b, tagAddress, c.Address)
	b = appendString(b, tagGateway, c.Gateway)
	b = appendString(b, tagDNS, c.DNS)
	b = appendString(b, tagHost, c.Host)
	b = appendString(b, tagDump, c.Dump)
	if c.Verbose {
		b = appendRecord(b, tagVerbose, "")
	}
	b = appendString(b, tagSeed, string(c.Seed))
	if !c.Now.IsZero() {
		b = appendRecord(b, tagNow, appendTime(nil, c.Now))
	}
	if c.Capture {
		b = appendRecord(b, tagCapture, binary.LittleEndian.AppendUint32(nil, c.SnapLen))
	}
	if c.Timing {
		b = appendRecord(b, tagTiming, "")
	}
	return b
}

func appendRecord[T string | []byte](b []byte, tag uint64, value T) []byte {
	b = binary.AppendUvarint(b, tag)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

func appendString(b []byte, tag uint64, value string) []byte {
	if value == "" {
		return b
	}
	return appendRecord(b, tag, value)
}

func appendTime(b []byte, t time.Time) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(t.Unix()))
	return binary.LittleEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

// decodeConfig reads the records in b into c.
func decodeConfig(b []byte, c *Config) error {
	r := reader{rest: b}
	last := uint64(0)
	for len(r.rest) > 0 {
		tag := r.uvarint()
		value := r.counted(MaxMeta)
		if r.failed {
			return &Error{What: "the config is cut off"}
		}
		if tag < last || tag == last && tag != tagArg && tag != tagEnv {
			return &Error{What: "the config's records are out of order", Got: tag, Want: last}
		}
		last = tag
		if err := decodeRecord(tag, value, c); err != nil {
			return err
		}
	}
	return nil
}

func decodeRecord(tag uint64, value []byte, c *Config) error {
	r := reader{rest: value}
	switch tag {
	case tagArg:
		c.Args = append(c.Args, string(value))
	case tagEnv:
		c.Env = append(c.Env, string(value))
	case tagTerminal:
		bits := r.take(1)
		if bits == nil || bits[0]&^7 != 0 {
			return &Error{What: "a malformed record of terminals"}
		}
		for i := range c.Terminal {
			c.Terminal[i] = bits[0]&(1<<i) != 0
		}
	case tagWindow:
		if size := r.take(4); size != nil {
			c.Rows, c.Columns = binary.LittleEndian.Uint16(size), binary.LittleEndian.Uint16(size[2:])
		}
	case tagVerbose:
		c.Verbose = true
	case tagSeed:
		c.Seed = append([]byte(nil), value...)
	case tagNow:
		c.Now = r.time()
	case tagCapture:
		if size := r.take(4); size != nil {
			c.Capture, c.SnapLen = true, binary.LittleEndian.Uint32(size)
		}
	case tagTiming:
		c.Timing = true
	default:
		field := stringField(tag, c)
		if field == nil {
			return &Error{What: "an unknown config record", Got: tag}
		}
		*field = string(value)
	}
	switch tag {
	case tagTerminal, tagWindow, tagVerbose, tagNow, tagCapture, tagTiming:
		if r.failed || len(r.rest) != 0 {
			return &Error{What: "a config record of the wrong length", Got: tag}
		}
	}
	return nil
}

// stringField returns the string that a record fills, nil for other tags.
func stringField(tag uint64, c *Config) *string {
	switch tag {
	case tagPath:
		return &c.Path
	case tagCwd:
		return &c.Cwd
	case tagAddress:
		return &c.Address
	case tagGateway:
		return &c.Gateway
	case tagDNS:
		return &c.DNS
	case tagHost:
		return &c.Host
	case tagDump:
		return &c.Dump
	}
	return nil
}
