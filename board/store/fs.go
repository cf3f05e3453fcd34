package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/whet-edge/whet/format/vfs"
)

// readFile is vfs.ReadFile for files that may have been tampered with.
func readFile(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	size, _, err := fsys.Stat(name)
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes are over the limit of %d", name, size, limit)
	}
	return vfs.ReadFile(fsys, name)
}

// writeFile replaces a file by this content, atomically and durably.
func writeFile(fsys vfs.FS, name string, body []byte) error {
	err := vfs.WriteFile(fsys, name, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// mkdir makes a folder, and its name in its parent durable.
func mkdir(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// notExist reports whether err says that a file is not there.
func notExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
