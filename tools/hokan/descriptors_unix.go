//go:build unix

package main

import "syscall"

// mostFiles is how many files and connections the process may have open, 0 where
// that is not known. The runtime has raised it as far as it may.
func mostFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur)
}
