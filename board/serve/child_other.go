//go:build !linux

package serve

import "os/exec"

// Elsewhere than on Linux, which is what boards run, the child is only stopped
// when it is silent, and never rests; GOMEMLIMIT is all that holds its memory.

func detach(*exec.Cmd) {}

func yield(int) {}

func idle(int) {}

func freeze(int, bool) {}

func ownMemory(int) int64 { return 0 }

func limitMemory(int, int64) {}
