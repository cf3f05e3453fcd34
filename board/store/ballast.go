package store

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/whet-edge/whet/format/vfs"
)

// The ballast is a file without use but to be thrown overboard when the disk is
// full: deleting samples needs a little room, for the tombstone and for what is
// written anew.
const ballastName = "ballast"

// loadBallast makes the ballast if it is not there. On a full disk there is
// none: the next deletion tries again.
func (s *Store) loadBallast() error {
	name := s.path(ballastName)
	if size, _, err := s.fsys.Stat(name); err == nil && size == s.opt.Ballast {
		return nil
	}
	err := vfs.WriteFile(s.fsys, name, func(w io.Writer) error {
		zeros := make([]byte, min(s.opt.Ballast, 64<<10))
		for left := s.opt.Ballast; left > 0; left -= int64(len(zeros)) {
			if _, err := w.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// dropBallast makes room, and reports whether it could.
func (s *Store) dropBallast() bool {
	return s.fsys.Remove(s.path(ballastName)) == nil
}
