// Package vfs is the only writer of files in whet: a small file system
// interface, its implementation on the operating system, the one protocol by
// which a file is replaced so that a power cut leaves the old content or the new,
// and a simulator of crashes for testing what is built on it.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
)

// FS is the file system as whet's stores use it. Errors are those of package os:
// errors.Is(err, fs.ErrNotExist) and the like work.
//
// What a call has written survives a power cut only after Sync of the file, and
// what it has created, renamed or removed only after SyncDir of the folder.
type FS interface {
	Open(name string) (File, error)                     // for reading
	Create(name string) (File, error)                   // for reading and writing; empties a file that exists
	CreateNew(name string) (File, error)                // like Create, but fails if the file exists
	Append(name string) (File, error)                   // for reading and writing; Write goes to the end; created if absent
	Rename(from, to string) error                       // replaces to if it exists
	Remove(name string) error                           // a file or an empty folder
	MkdirAll(dir string) error                          // no error if it exists
	List(dir string) ([]string, error)                  // names in order
	Stat(name string) (size int64, dir bool, err error) // of a file or folder
	SyncDir(dir string) error                           // makes what happened to the names in dir durable
}

// File is an open file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt // not for files from Append
	io.Closer
	Name() string
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error // makes the content durable; after an error the file must not be written on, only read anew
}

// tempMark is what the names of temporary files contain.
const tempMark = ".whet-tmp-"

// WriteFile replaces the file by what write writes: all of it or, on any error
// and after a crash at any moment, nothing. When it returns nil, the new content
// survives a power cut.
func WriteFile(fsys FS, name string, write func(io.Writer) error) (err error) {
	f, err := createTemp(fsys, name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The file's name says what it is, and the first error is the one to
			// report: what fails here is left to RemoveTemps.
			_ = f.Close()
			_ = fsys.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := fsys.Rename(f.Name(), name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// createTemp makes a new file beside name, so that a rename stays in one file
// system.
func createTemp(fsys FS, name string) (File, error) {
	dir, base := filepath.Split(name)
	for i := range 10000 {
		f, err := fsys.CreateNew(fmt.Sprintf("%s.%s%s%d", dir, base, tempMark, i))
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s: too many temporary files lie beside it: remove %s.%s%s*", name, dir, base, tempMark)
}

// RemoveTemps removes the temporary files that crashes have left in dir. Nobody
// may be writing there.
func RemoveTemps(fsys FS, dir string) error {
	names, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, ".") && strings.Contains(name, tempMark) {
			if err := fsys.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadFile returns the content of a file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
