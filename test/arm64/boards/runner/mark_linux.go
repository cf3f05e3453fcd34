package main

import "golang.org/x/sys/unix"

// mark is the system call that blocks.c knows as a mark.
func mark() {
	_, _ = unix.Getpriority(unix.PRIO_PGRP, 7) // there is no such group
}
