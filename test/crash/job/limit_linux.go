package main

import "syscall"

// limitFiles makes writes beyond a size fail, in the middle of what is written.
func limitFiles(n uint64) error {
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
}
