package bundle

import (
	"encoding/binary"
	"hash/crc32"
	"sort"
	"time"
)

// Parse reads a bundle. The files' data are parts of b, nothing of it is copied or even read: b
// must stay as it is while the result is in use. Bytes behind the end of the bundle are ignored
// (a boot loader may round the size up). A malformed bundle gives an *Error.
func Parse(b []byte) (*Bundle, error) {
	h, err := parseHeader(b)
	if err != nil {
		return nil, err
	}
	out := new(Bundle)
	configEnd := headerSize + uint64(h.configLen)
	if err := decodeConfig(b[headerSize:configEnd], &out.Config); err != nil {
		return nil, err
	}
	metaEnd := configEnd + uint64(h.tableLen)
	out.Files, err = parseTable(b[:h.total], b[configEnd:metaEnd], h.files, pageUp(metaEnd))
	if err != nil {
		return nil, err
	}
	return out, nil
}

// header is the fixed start of a bundle, without its magic, version and checksum.
type header struct {
	total     uint64 // bytes, a multiple of PageSize
	configLen uint32 // bytes
	tableLen  uint32 // bytes
	files     uint32
}

func parseHeader(b []byte) (h header, err error) {
	le := binary.LittleEndian
	if len(b) < headerSize {
		return h, &Error{What: "too short for a header", Got: uint64(len(b)), Want: headerSize}
	}
	if string(b[:8]) != magic {
		return h, &Error{What: "not a bundle: wrong magic number"}
	}
	if v := le.Uint32(b[8:]); v != version {
		return h, &Error{What: "wrong version", Got: uint64(v), Want: version}
	}
	h.total = le.Uint64(b[16:])
	h.configLen, h.tableLen, h.files = le.Uint32(b[24:]), le.Uint32(b[28:]), le.Uint32(b[32:])
	if h.total > uint64(len(b)) {
		return h, &Error{What: "cut off", Got: uint64(len(b)), Want: h.total}
	}
	if h.total%PageSize != 0 {
		return h, &Error{What: "the length is not a multiple of a page", Got: h.total, Want: pageUp(h.total)}
	}
	if h.configLen > MaxMeta || h.tableLen > MaxMeta {
		return h, &Error{What: "config or file table too large", Got: max(uint64(h.configLen), uint64(h.tableLen)), Want: MaxMeta}
	}
	if h.files > MaxFiles {
		return h, &Error{What: "too many files", Got: uint64(h.files), Want: MaxFiles}
	}
	metaEnd := headerSize + uint64(h.configLen) + uint64(h.tableLen)
	if metaEnd > h.total {
		return h, &Error{What: "config and file table reach behind the end", Got: metaEnd, Want: h.total}
	}
	if got, want := checksum(b[:metaEnd]), le.Uint32(b[crcOffset:]); got != want {
		return h, &Error{What: "wrong checksum", Got: uint64(got), Want: uint64(want)}
	}
	return h, nil
}

// checksum computes the checksum of a header with the config and file table behind it.
func checksum(meta []byte) uint32 {
	sum := crc32.ChecksumIEEE(meta[:crcOffset])
	return crc32.Update(sum, crc32.IEEETable, meta[headerSize:])
}

// parseTable reads the file table. b is the whole bundle, dataStart the first place for file data.
func parseTable(b, table []byte, count uint32, dataStart uint64) ([]File, error) {
	if minEntry := 17; uint64(count) > uint64(len(table)/minEntry) {
		return nil, &Error{What: "more files than the file table has room for", Got: uint64(count), Want: uint64(len(table) / minEntry)}
	}
	files := make([]File, 0, count)
	r := reader{rest: table}
	for range count {
		f, dataEnd, err := parseEntry(&r, b, dataStart)
		if err != nil {
			return nil, err
		}
		if err := checkOrder(files, &f); err != nil {
			return nil, err
		}
		files, dataStart = append(files, f), dataEnd
	}
	if len(r.rest) != 0 {
		return nil, &Error{What: "bytes behind the file table's last entry", Got: uint64(len(r.rest))}
	}
	return files, nil
}

// parseEntry reads one entry. Data may start at dataStart or behind it; the result tells where
// that of the next file may.
func parseEntry(r *reader, b []byte, dataStart uint64) (f File, dataEnd uint64, err error) {
	f.Path = string(r.counted(MaxPath))
	f.Mode = r.uint32()
	f.ModTime = r.time()
	if r.failed {
		return f, 0, &Error{What: "the file table is cut off", Path: f.Path}
	}
	if what := badPath(f.Path); what != "" {
		return f, 0, &Error{What: what, Path: f.Path}
	}
	if what := badMode(f.Mode); what != "" {
		return f, 0, &Error{What: what, Path: f.Path, Got: uint64(f.Mode)}
	}
	switch {
	case f.IsSymlink():
		f.Link = string(r.counted(MaxPath))
		if what := badLink(f.Link); what != "" && !r.failed {
			return f, 0, &Error{What: what, Path: f.Path}
		}
	case f.IsRegular():
		offset, size := r.uint64(), r.uint64()
		if size == 0 {
			if offset != 0 {
				return f, 0, &Error{What: "an empty file has an offset", Path: f.Path, Got: offset}
			}
			break
		}
		total := uint64(len(b))
		if offset%PageSize != 0 || offset < dataStart || offset > total || size > total-offset {
			return f, 0, &Error{What: "a file's data is misplaced", Path: f.Path, Got: offset, Want: dataStart}
		}
		dataStart = pageUp(offset + size) // at most total, which is a multiple of a page
		f.Data, f.Offset = b[offset:offset+size:dataStart], offset
	}
	if r.failed {
		return f, 0, &Error{What: "the file table is cut off", Path: f.Path}
	}
	return f, dataStart, nil
}

// checkOrder checks that f may follow files: its path is above theirs and its parent is there.
func checkOrder(files []File, f *File) error {
	if n := len(files); n > 0 && files[n-1].Path >= f.Path {
		return &Error{What: "the file table is not in ascending order", Path: f.Path}
	}
	parent := parentOf(f.Path)
	if parent == "" {
		return nil
	}
	i := sort.Search(len(files), func(i int) bool { return files[i].Path >= parent })
	if i == len(files) || files[i].Path != parent || !files[i].IsDir() {
		return &Error{What: "a file's parent is not a directory of the table", Path: f.Path}
	}
	return nil
}

// reader takes values off the front of rest. Once something is missing it stays failed and
// returns zeros.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if r.failed {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// counted reads a length and that many bytes, at most limit.
func (r *reader) counted(limit uint64) []byte {
	n := r.uvarint()
	if n > limit {
		r.failed = true
	}
	return r.take(n)
}

// time reads seconds and nanoseconds since 1970.
func (r *reader) time() time.Time {
	seconds, nanoseconds := r.uint64(), r.uint32()
	if nanoseconds >= 1e9 {
		r.failed = true
	}
	if r.failed {
		return time.Time{}
	}
	return time.Unix(int64(seconds), int64(nanoseconds))
}
