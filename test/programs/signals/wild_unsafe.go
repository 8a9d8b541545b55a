package main

import "unsafe"

// wild makes a pointer of any address.
func wild(address uintptr) *record {
	// SAFETY: the pointer is only used to fault, with the fault recovered. It is made by loading it as a word, since
	// vet rightly objects to the conversion of an integer.
	return *(**record)(unsafe.Pointer(&address))
}

// valueOffset is where load reads in a record.
func valueOffset() uintptr {
	// SAFETY: a constant.
	return unsafe.Offsetof(record{}.value)
}
