// Package disk is the seam between the engine and its files: the file system
// (pebble's vfs, so that tests can crash it and break it), the frames and
// headers that every file is made of, atomic writes, the store of immutable
// objects, and the name of every file in a data folder.
//
// It is the only package of the engine that may know an operating system.
package disk

import "github.com/cockroachdb/pebble/v2/vfs"

// FS is a file system; File is an open file of one.
type (
	FS   = vfs.FS
	File = vfs.File
)

// Default returns the file system of the operating system.
func Default() FS { return vfs.Default }
