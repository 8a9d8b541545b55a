package vdso

// strings is a string table [gABI 4, String Table].
type strings struct{ text []byte }

// add adds a string and returns its offset.
func (s *strings) add(text string) uint32 {
	if len(s.text) == 0 {
		s.text = append(s.text, 0)
	}
	at := len(s.text)
	s.text = append(append(s.text, text...), 0)
	return uint32(at)
}

// symbol is a function under one of its names. The zero symbol is the one that begins every table.
type symbol struct {
	name     string
	nameAt   uint32
	binding  byte
	function int // index in Functions
}

func symbolsOf(names *strings) (symbols []symbol) {
	for i, f := range Functions {
		symbols = append(symbols,
			symbol{prefix + f, names.add(prefix + f), stbGlobal, i},
			symbol{f, names.add(f), stbWeak, i})
	}
	return symbols
}

// fillSymbols makes the symbol table, of code at an address of the image that is in section text.
func fillSymbols(table []byte, symbols []symbol, codeAt uint64, entrySize int, text uint16) {
	for i, s := range symbols[1:] {
		b := table[(i+1)*sizeofSym:]
		le.PutUint32(b[0:], s.nameAt)
		b[4] = s.binding<<4 | sttFunc
		le.PutUint16(b[6:], text)
		le.PutUint64(b[8:], codeAt+uint64(s.function*entrySize))
		le.PutUint64(b[16:], uint64(entrySize))
	}
}

// hashTable is the table by which symbols are found [gABI 5, Hash Table].
func hashTable(symbols []symbol) []byte {
	const buckets = 5
	words := make([]uint32, 2+buckets+len(symbols))
	words[0], words[1] = buckets, uint32(len(symbols))
	bucket, chain := words[2:2+buckets], words[2+buckets:]
	for i := 1; i < len(symbols); i++ {
		at := hash(symbols[i].name) % buckets
		chain[i], bucket[at] = bucket[at], uint32(i)
	}
	b := make([]byte, 0, 4*len(words))
	for _, w := range words {
		b = le.AppendUint32(b, w)
	}
	return b
}

// hash is the hash function of the gABI.
func hash(name string) (h uint32) {
	for i := 0; i < len(name); i++ {
		h = h<<4 + uint32(name[i])
		g := h & 0xf0000000
		h = (h ^ g>>24) &^ g
	}
	return h
}

// versionsOf says which version each symbol has [LSB 10.7.2].
func versionsOf(symbols []symbol) []byte {
	b := le.AppendUint16(nil, 0)
	for range symbols[1:] {
		b = le.AppendUint16(b, verNdxLinux)
	}
	return b
}

// definitions defines the versions: that of the file, and version, whose names are at offsets of the string table [LSB 10.7.3].
func definitions(file, linux uint32) (b []byte) {
	for _, d := range []struct {
		flags, index uint16
		name         string
		nameAt       uint32
		next         uint32
	}{
		{verFlgBase, verNdxGlobal, soname, file, sizeofVerdef + sizeofVerdaux},
		{0, verNdxLinux, version, linux, 0},
	} {
		for _, v := range []uint16{1, d.flags, d.index, 1} { // vd_version vd_flags vd_ndx vd_cnt
			b = le.AppendUint16(b, v)
		}
		for _, v := range []uint32{hash(d.name), sizeofVerdef, d.next, d.nameAt, 0} { // vd_hash vd_aux vd_next, vda_name vda_next
			b = le.AppendUint32(b, v)
		}
	}
	return b
}

// fillDynamic makes the table by which the others are found [gABI 5, Dynamic Section].
func fillDynamic(table []byte, file uint32, find func(string) *section) {
	at := func(name string) uint64 { return uint64(find(name).at) }
	for i, d := range [][2]uint64{
		{dtSoname, uint64(file)},
		{dtHash, at(".hash")},
		{dtStrtab, at(".dynstr")}, {dtStrsz, uint64(len(find(".dynstr").content))},
		{dtSymtab, at(".dynsym")}, {dtSyment, sizeofSym},
		{dtVersym, at(".gnu.version")},
		{dtVerdef, at(".gnu.version_d")}, {dtVerdefnum, 2},
		{dtNull, 0},
	} {
		le.PutUint64(table[i*sizeofDyn:], d[0])
		le.PutUint64(table[i*sizeofDyn+8:], d[1])
	}
}
