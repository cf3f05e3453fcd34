package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// FS is what the store needs of a file system. Nothing is durable before its
// Sync (for contents) and its SyncDir (for names) have returned.
type FS interface {
	Create(name string) (File, error) // truncates
	Append(name string) (File, error) // of an existing file
	Open(name string) (File, error)   // for reading
	Rename(from, to string) error     // replaces
	Remove(name string) error
	MkdirAll(name string) error
	List(dir string) ([]string, error)
	SyncDir(dir string) error
}

// File is an open file of an [FS].
type File interface {
	io.Writer
	io.ReaderAt
	Size() (int64, error)
	Sync() error
	Close() error
}

// System is the operating system's file system.
type System struct{}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Create implements [FS].
func (System) Create(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600))
}

// Append implements [FS].
func (System) Append(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_APPEND, 0o600))
}

// Open implements [FS].
func (System) Open(name string) (File, error) { return wrap(os.Open(name)) }

// Rename implements [FS].
func (System) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [FS].
func (System) Remove(name string) error { return os.Remove(name) }

// MkdirAll implements [FS].
func (System) MkdirAll(name string) error { return os.MkdirAll(name, 0o700) }

// List implements [FS].
func (System) List(dir string) ([]string, error) {
	es, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names, nil
}

// SyncDir implements [FS].
func (System) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%s: %d bytes are over the limit of %d", name, size, limit)
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		return nil, err
	}
	return b, nil
}

// writeSynced makes a file with this content durable; its name is not yet.
func writeSynced(fsys FS, name string, body []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if _, err = f.Write(body); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("store: %s: %w", name, errors.Join(err, fsys.Remove(name)))
	}
	return nil
}

// replaceFile puts a file with this content at name, atomically and durably.
func replaceFile(fsys FS, name string, body []byte) error {
	tmp := name + ".tmp"
	if err := writeSynced(fsys, tmp, body); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return fmt.Errorf("store: %w", errors.Join(err, fsys.Remove(tmp)))
	}
	if err := fsys.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// mkdir makes a folder and its name in an existing parent durable.
func mkdir(fsys FS, dir string) error {
	parent := filepath.Dir(dir)
	names, err := fsys.List(parent)
	if err == nil && slices.Contains(names, filepath.Base(dir)) {
		return nil
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if err := fsys.SyncDir(parent); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}
