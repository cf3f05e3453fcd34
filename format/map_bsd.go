//go:build unix && !linux

package format

import "golang.org/x/sys/unix"

const mapFlags = unix.MAP_SHARED
