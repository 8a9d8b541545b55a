package vfs

// FS is the tree of file systems: the tmpfs root filled from the initial file system, /dev, /proc.
type FS struct{}
