//go:build !linux

package crash

import (
	"errors"
	"testing"
)

func newSmallDisk(t *testing.T) string {
	t.Log("no disk is filled: that takes Linux")
	return ""
}

func limitFiles(uint64) error { return errors.New("file sizes are limited on Linux only") }
