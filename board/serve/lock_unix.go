//go:build unix

package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Lock takes a state directory for this process until the file is closed or the
// process ends, however it ends.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another whet serve: stop it, or give another --state (%w)", dir, err), f.Close())
	}
	return f, nil
}

// PrivateFiles makes what this process creates from now on its owner's alone.
func PrivateFiles() { unix.Umask(0o077) }
