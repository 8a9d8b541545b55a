package vfs

// Table is the descriptor table of a process.
type Table struct{}
