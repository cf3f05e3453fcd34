package store

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/whet-edge/whet/format/vfs"
	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed file is
//
//	"whetjob" 1 | 19 random bytes | chunks of 64 KiB, the last one shorter or not, each with its tag
//
// encrypted with XChaCha20-Poly1305 in the STREAM construction (Hoang,
// Reyhanitabar, Rogaway and Vizár, 2015): a chunk's nonce is the file's random
// bytes, the chunk's number (big-endian) and whether it is the last, so that
// chunks can neither change places nor be cut off.
const (
	sealedMagic  = "whetjob\x01"
	sealedPrefix = chacha20poly1305.NonceSizeX - 5
	sealedHeader = len(sealedMagic) + sealedPrefix
	sealedChunk  = 64 << 10
	sealedWhole  = sealedChunk + chacha20poly1305.Overhead
)

// ErrSealed means that a file of a [SealFS] is not what was written with its key.
var ErrSealed = errors.New("store: the file was not sealed with this key, or has been changed")

// JobKey returns the key with which the files of training jobs are to be sealed
// (see [SealFS]), or nil if samples are not encrypted. It is derived from the
// key of [Options] (HKDF, RFC 5869), so that nothing is sealed twice with one.
func (s *Store) JobKey() ([]byte, error) {
	if s.opt.Key == nil {
		return nil, nil
	}
	return hkdf.Expand(sha256.New, s.opt.Key, "whet job files", KeySize)
}

// SealFS returns fsys with the content of files encrypted. A file is written
// from its beginning and ends with Sync; it is read with ReadAt. What else a
// [vfs.File] can do is an error.
func SealFS(fsys vfs.FS, key []byte) (vfs.FS, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("store: the key: %w", err)
	}
	return sealFS{fsys, aead}, nil
}

type sealFS struct {
	vfs.FS
	aead cipher.AEAD
}

func (s sealFS) Create(name string) (vfs.File, error)    { return s.writer(s.FS.Create(name)) }
func (s sealFS) CreateNew(name string) (vfs.File, error) { return s.writer(s.FS.CreateNew(name)) }
func (s sealFS) Append(string) (vfs.File, error)         { return nil, errors.ErrUnsupported }

func (s sealFS) writer(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	head := append([]byte(sealedMagic), make([]byte, sealedPrefix)...)
	_, _ = rand.Read(head[len(sealedMagic):]) // it never fails
	if _, err := f.Write(head); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &sealedWriter{unsupported{f}, chunks{s.aead, head[len(sealedMagic):]}, make([]byte, 0, sealedWhole), 0, false}, nil
}

// Open implements [vfs.FS].
func (s sealFS) Open(name string) (vfs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil {
		return nil, err
	}
	r, err := newSealedReader(f, s.aead)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return r, nil
}

// chunks seals and opens the chunks of one file.
type chunks struct {
	aead   cipher.AEAD
	prefix []byte
}

func (c chunks) nonce(number int64, last bool) []byte {
	n := binary.BigEndian.AppendUint32(bytes.Clone(c.prefix), uint32(number))
	if last {
		return append(n, 1)
	}
	return append(n, 0)
}

// unsupported is a file of which only the name, Sync and Close are as they were.
type unsupported struct{ vfs.File }

func (unsupported) Read([]byte) (int, error)           { return 0, errors.ErrUnsupported }
func (unsupported) ReadAt([]byte, int64) (int, error)  { return 0, errors.ErrUnsupported }
func (unsupported) Write([]byte) (int, error)          { return 0, errors.ErrUnsupported }
func (unsupported) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (unsupported) Size() (int64, error)               { return 0, errors.ErrUnsupported }
func (unsupported) Truncate(int64) error               { return errors.ErrUnsupported }

type sealedWriter struct {
	unsupported
	chunks
	plain []byte // of the chunk that is begun
	next  int64
	ended bool
}

// Write implements [vfs.File].
func (w *sealedWriter) Write(p []byte) (n int, err error) {
	if w.ended {
		return 0, errors.ErrUnsupported
	}
	for len(p) > 0 {
		if len(w.plain) == sealedChunk { // there is more, so it is not the last
			if err := w.flush(false); err != nil {
				return n, err
			}
		}
		k := min(len(p), sealedChunk-len(w.plain))
		w.plain = append(w.plain, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, nil
}

func (w *sealedWriter) flush(last bool) error {
	if w.next > 1<<32-1 {
		return errors.New("store: a sealed file has at most 2^32 chunks")
	}
	sealed := w.aead.Seal(w.plain[:0], w.nonce(w.next, last), w.plain, nil)
	w.plain, w.next = w.plain[:0], w.next+1
	_, err := w.File.Write(sealed)
	return err
}

// Sync ends the file and makes it durable.
func (w *sealedWriter) Sync() error {
	if !w.ended {
		w.ended = true
		if err := w.flush(true); err != nil {
			return err
		}
	}
	return w.File.Sync()
}

type sealedReader struct {
	unsupported
	chunks
	size, count int64 // plain bytes; chunks
	sealed      []byte
	plain       []byte // of the chunk read last
	at          int64  // which one that is; -1: none
}

func newSealedReader(f vfs.File, aead cipher.AEAD) (*sealedReader, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	body := size - int64(sealedHeader)
	head := make([]byte, sealedHeader)
	if body < chacha20poly1305.Overhead {
		return nil, ErrSealed
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if string(head[:len(sealedMagic)]) != sealedMagic {
		return nil, ErrSealed
	}
	count := (body + sealedWhole - 1) / sealedWhole
	r := &sealedReader{
		unsupported{f}, chunks{aead, head[len(sealedMagic):]},
		body - count*chacha20poly1305.Overhead, count,
		make([]byte, sealedWhole), make([]byte, 0, sealedChunk), -1,
	}
	return r, r.load(count - 1) // that it is the last says that none is missing
}

// Size implements [vfs.File]: of what was written.
func (r *sealedReader) Size() (int64, error) { return r.size, nil }

// ReadAt implements [vfs.File]. It is not to be called by two goroutines at a
// time.
func (r *sealedReader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("store: a negative offset")
	}
	for n < len(p) {
		if off >= r.size {
			return n, io.EOF
		}
		if err := r.load(off / sealedChunk); err != nil {
			return n, err
		}
		k := copy(p[n:], r.plain[off%sealedChunk:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

func (r *sealedReader) load(number int64) error {
	if r.at == number {
		return nil
	}
	r.at = -1
	from := int64(sealedHeader) + number*sealedWhole
	sealed := r.sealed[:min(sealedWhole, r.size+r.count*chacha20poly1305.Overhead+int64(sealedHeader)-from)]
	if _, err := r.File.ReadAt(sealed, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	plain, err := r.aead.Open(r.plain[:0], r.nonce(number, number == r.count-1), sealed, nil)
	if err != nil {
		return ErrSealed
	}
	r.plain, r.at = plain, number
	return nil
}
