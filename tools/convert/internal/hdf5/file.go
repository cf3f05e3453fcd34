// Package hdf5 reads HDF5 files: enough of the format for what h5py and the HDF5
// library write for neural networks, and nothing that writes.
//
// It knows superblocks 0, 2 and 3; groups of the old style (symbol tables) and of
// the new one (links, also in fractal heaps); attributes; datasets that are
// compact, contiguous or chunked, with the filters shuffle, deflate and
// fletcher32; integers, floats, enumerations, and strings of fixed and of
// variable length. Numbers come out little-endian and row-major.
//
// Nothing in a file is trusted: every position is checked against its size, and
// all that is decoded is charged to a budget of [Budget] bytes. Checksums of
// metadata are not verified: a file that passes the checks here is read as it
// stands.
//
// The format: "HDF5 File Format Specification Version 3.0", The HDF Group. The
// section numbers in the comments are its.
package hdf5

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrNotFound is in the chain of the error for a name that a file does not have.
var ErrNotFound = errors.New("not found")

// Magic is what a file starts with.
const Magic = "\x89HDF\r\n\x1a\n"

// Budget returns the bytes that may be decoded from a file of size bytes, in all:
// deflate expands by at most 1032, weights by far less.
func Budget(size int) int { return 64*size + 64<<20 }

// A File is an open file in memory. Its methods may not be called concurrently.
type File struct {
	*Object // the root group

	b              []byte
	base           int64 // what addresses count from
	offsets, sizes int   // bytes of an address and of a length
	budget         int
	objects        map[int64]*Object
}

// Open reads the superblock and the root group of the file in b, which must
// stay unchanged while the File and what was read from it are used.
func Open(b []byte) (f *File, err error) {
	defer func() { err = caught(recover(), err) }()
	if !strings.HasPrefix(string(b[:min(len(b), len(Magic))]), Magic) {
		return nil, errors.New("not an HDF5 file: it does not start with the signature")
	}
	f = &File{b: b, budget: Budget(len(b)), objects: map[int64]*Object{}}
	f.Object = f.superblock()
	return f, nil
}

// superblock reads what section II.A describes and returns the root group.
func (f *File) superblock() *Object {
	c := &cursor{f: f, b: f.b, at: len(Magic)}
	version := c.u8()
	switch version {
	case 0, 1:
		c.skip(4)
		f.offsets, f.sizes = c.width(), c.width()
		c.skip(1 + 2 + 2 + 4)
		if version == 1 {
			c.skip(4)
		}
	case 2, 3:
		f.offsets, f.sizes = c.width(), c.width()
		c.skip(1)
	default:
		fail("superblock version %d: only 0 to 3 are known", version)
	}
	f.base = int64(c.uint(f.offsets))
	c.address() // free space, or the superblock's extension
	c.address() // end of file
	if version < 2 {
		c.address() // driver information
		c.uint(f.offsets)
	}
	return f.object(c.address(), "/")
}

// An Object is a group or a dataset.
type Object struct {
	f    *File
	path string
	head header

	links map[string]link // of a group, once read
}

// Path is where the object was found.
func (o *Object) Path() string { return o.path }

// IsDataset reports whether the object is a dataset.
func (o *Object) IsDataset() bool { return o.head.layout != nil }

// Names returns the names of a group's members, sorted; none of a dataset.
func (o *Object) Names() (names []string, err error) {
	defer func() { err = o.caught(recover(), err) }()
	return slices.Sorted(maps.Keys(o.members())), nil
}

// Has reports whether the object has a member of that path. What cannot be
// read is not there.
func (o *Object) Has(path string) bool {
	_, err := o.Lookup(path)
	return err == nil
}

// Lookup returns the object at a path below o, whose parts are separated by
// slashes. The error wraps [ErrNotFound] if there is none.
func (o *Object) Lookup(path string) (found *Object, err error) {
	defer func() { err = o.caught(recover(), err) }()
	return o.lookup(path, 0), nil
}

// maxSoft bounds soft links that lead to soft links.
const maxSoft = 16

func (o *Object) lookup(path string, depth int) *Object {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		l, ok := o.members()[name]
		switch {
		case !ok:
			panic(fault{fmt.Errorf("%q: %w", name, ErrNotFound)})
		case l.soft == "":
			o = o.f.object(l.address, strings.TrimSuffix(o.path, "/")+"/"+name)
		case depth >= maxSoft:
			fail("%q: soft links lead in a circle", name)
		case strings.HasPrefix(l.soft, "/"):
			o = o.f.Object.lookup(l.soft, depth+1)
		default:
			o = o.lookup(l.soft, depth+1)
		}
	}
	return o
}

// object returns the object whose header is at an address.
func (f *File) object(address int64, path string) *Object {
	o := f.objects[address]
	if o == nil {
		o = &Object{f: f, path: path, head: f.header(address)}
		f.objects[address] = o
	}
	return o
}

// A fault is how the functions of this package report what is wrong with a
// file; it never leaves the package.
type fault struct{ error }

func fail(format string, a ...any) { panic(fault{fmt.Errorf(format, a...)}) }

// caught turns a recovered fault into an error.
func caught(p any, err error) error {
	switch p := p.(type) {
	case nil:
		return err
	case fault:
		return p.error
	default:
		panic(p)
	}
}

func (o *Object) caught(p any, err error) error {
	if err = caught(p, err); err != nil {
		return fmt.Errorf("%s: %w", o.path, err)
	}
	return nil
}

// spend charges n bytes to the budget.
func (f *File) spend(n int) {
	if n > f.budget {
		fail("more than %d bytes would have to be decoded from %d", Budget(len(f.b)), len(f.b))
	}
	f.budget -= n
}
