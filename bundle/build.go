package bundle

import (
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"time"
)

// Build writes a bundle. The files may come in any order; directories that are missing are added
// with mode 0755. Data is written as it is, in as few calls as possible, so that a mapped file
// costs one copy. An *Error tells of a file that the format can't hold, other errors are w's.
//
// The seed and the clock are written if cfg has them: a bundle that is kept must have neither.
func Build(w io.Writer, cfg *Config, files []File) error {
	files, err := complete(files)
	if err != nil {
		return err
	}
	config := appendConfig(nil, cfg)
	// The offsets depend on the table's length and not on its content: number once to measure.
	tableLen := len(appendTable(nil, files, 0))
	if len(config) > MaxMeta || tableLen > MaxMeta || len(files) > MaxFiles {
		return &Error{What: "config or file table too large", Got: uint64(max(len(config), tableLen)), Want: MaxMeta}
	}
	metaEnd := uint64(headerSize + len(config) + tableLen)
	dataStart := pageUp(metaEnd)
	total := dataStart
	for i := range files {
		total += pageUp(uint64(len(files[i].Data)))
	}

	le := binary.LittleEndian
	meta := make([]byte, headerSize, dataStart)
	copy(meta, magic)
	le.PutUint32(meta[8:], version)
	le.PutUint64(meta[16:], total)
	le.PutUint32(meta[24:], uint32(len(config)))
	le.PutUint32(meta[28:], uint32(tableLen))
	le.PutUint32(meta[32:], uint32(len(files)))
	meta = append(meta, config...)
	meta = appendTable(meta, files, dataStart)
	le.PutUint32(meta[crcOffset:], checksum(meta))
	if _, err := w.Write(meta[:dataStart]); err != nil { // up to the capacity it is zeros
		return err
	}
	return writeData(w, files)
}

// writeData writes what the files hold, each up to the end of its last page.
func writeData(w io.Writer, files []File) error {
	var zeros [PageSize]byte
	for i := range files {
		data := files[i].Data
		if len(data) == 0 {
			continue
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		padding := pageUp(uint64(len(data))) - uint64(len(data))
		if padding == 0 {
			continue
		}
		if _, err := w.Write(zeros[:padding]); err != nil {
			return err
		}
	}
	return nil
}

// complete returns the files in the order of the table with the directories that were missing.
func complete(files []File) ([]File, error) {
	modes := make(map[string]uint32, len(files))
	out := make([]File, 0, len(files)+4)
	for _, f := range files {
		if err := checkFile(&f); err != nil {
			return nil, err
		}
		if _, twice := modes[f.Path]; twice {
			return nil, &Error{What: "a file is there twice", Path: f.Path}
		}
		modes[f.Path] = f.Mode
		out = append(out, f)
	}
	for _, f := range files {
		for dir := parentOf(f.Path); dir != ""; dir = parentOf(dir) {
			mode, there := modes[dir]
			if !there {
				modes[dir] = ModeDir | 0o755
				out = append(out, File{Path: dir, Mode: ModeDir | 0o755, ModTime: f.ModTime})
			} else if mode&ModeType != ModeDir {
				return nil, &Error{What: "a file's parent is not a directory", Path: f.Path}
			}
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

func checkFile(f *File) error {
	if what := badPath(f.Path); what != "" {
		return &Error{What: what, Path: f.Path}
	}
	if what := badMode(f.Mode); what != "" {
		return &Error{What: what, Path: f.Path}
	}
	if what := badLink(f.Link); f.IsSymlink() && what != "" {
		return &Error{What: what, Path: f.Path}
	}
	if !f.IsSymlink() && f.Link != "" || !f.IsRegular() && len(f.Data) != 0 {
		return &Error{What: "a target or data does not fit the type of the file", Path: f.Path}
	}
	return nil
}

// appendTable appends the file table; the data of the first file starts at offset dataStart.
func appendTable(b []byte, files []File, dataStart uint64) []byte {
	le := binary.LittleEndian
	for i := range files {
		f := &files[i]
		b = binary.AppendUvarint(b, uint64(len(f.Path)))
		b = append(b, f.Path...)
		b = le.AppendUint32(b, f.Mode)
		b = appendTime(b, timeOr1970(f.ModTime))
		switch {
		case f.IsSymlink():
			b = binary.AppendUvarint(b, uint64(len(f.Link)))
			b = append(b, f.Link...)
		case f.IsRegular() && len(f.Data) == 0:
			b = append(b, make([]byte, 16)...)
		case f.IsRegular():
			size := uint64(len(f.Data))
			b = le.AppendUint64(b, dataStart)
			b = le.AppendUint64(b, size)
			dataStart += pageUp(size)
		}
	}
	return b
}

func timeOr1970(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0)
	}
	return t
}
