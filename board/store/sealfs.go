package store

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
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
// key of [Options] by HMAC (as HKDF does, RFC 5869), so that nothing is sealed
// twice with one.
func (s *Store) JobKey() []byte {
	if s.opt.Key == nil {
		return nil
	}
	h := hmac.New(sha256.New, s.opt.Key)
	h.Write([]byte("whet job files"))
	return h.Sum(nil)
}

// SealFS returns fsys with the content of files encrypted. A file is written
// from its beginning and ends with Sync; it is read with ReadAt. What else a
// [vfs.File] can do is an error.
func SealFS(fsys vfs.FS, key []byte) (vfs.FS, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("store: the key: %w", err)
	}
	return &sealFS{fsys, aead}, nil
}

type sealFS struct {
	vfs.FS
	aead cipher.AEAD
}

func (s *sealFS) Create(name string) (vfs.File, error)    { return s.writer(s.FS.Create(name)) }
func (s *sealFS) CreateNew(name string) (vfs.File, error) { return s.writer(s.FS.CreateNew(name)) }
func (s *sealFS) Append(string) (vfs.File, error)         { return nil, errors.ErrUnsupported }

func (s *sealFS) writer(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	head := append([]byte(sealedMagic), make([]byte, sealedPrefix)...)
	_, _ = rand.Read(head[len(sealedMagic):]) // it never fails
	if _, err := f.Write(head); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &sealedFile{f: f, aead: s.aead, prefix: head[len(sealedMagic):], writing: true, plain: make([]byte, 0, sealedWhole)}, nil
}

// Open implements [vfs.FS].
func (s *sealFS) Open(name string) (vfs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil {
		return nil, err
	}
	r := &sealedFile{f: f, aead: s.aead, at: -1}
	if err := r.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return r, nil
}

// A sealedFile is written or read. It does not embed the file below: what is not
// here would go past the encryption.
type sealedFile struct {
	f       vfs.File
	aead    cipher.AEAD
	prefix  []byte
	writing bool
	plain   []byte // of the chunk at
	at      int64  // the chunk that is being written, or was read last; -1: none was

	size, count int64  // when reading: plain bytes; chunks
	sealed      []byte // when reading: room for a chunk
}

func (s *sealedFile) Name() string                       { return s.f.Name() }
func (s *sealedFile) Close() error                       { return s.f.Close() }
func (s *sealedFile) Size() (int64, error)               { return s.size, nil } // of what was written
func (s *sealedFile) Read([]byte) (int, error)           { return 0, errors.ErrUnsupported }
func (s *sealedFile) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (s *sealedFile) Truncate(int64) error               { return errors.ErrUnsupported }

func (s *sealedFile) nonce(number int64, last bool) []byte {
	n := append(bytes.Clone(s.prefix), 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(n[sealedPrefix:], uint32(number))
	if last {
		n[sealedPrefix+4] = 1
	}
	return n
}

// Write implements [vfs.File].
func (s *sealedFile) Write(p []byte) (n int, err error) {
	if !s.writing {
		return 0, errors.ErrUnsupported
	}
	for len(p) > 0 {
		if len(s.plain) == sealedChunk { // there is more, so it is not the last
			if err := s.flush(false); err != nil {
				return n, err
			}
		}
		k := min(len(p), sealedChunk-len(s.plain))
		s.plain = append(s.plain, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, nil
}

// flush writes a chunk: with room for 2^32 of them, more than any disk has.
func (s *sealedFile) flush(last bool) error {
	sealed := s.aead.Seal(s.plain[:0], s.nonce(s.at, last), s.plain, nil)
	s.plain, s.at = s.plain[:0], s.at+1
	_, err := s.f.Write(sealed)
	return err
}

// Sync ends the file and makes it durable.
func (s *sealedFile) Sync() error {
	if s.writing {
		s.writing = false
		if err := s.flush(true); err != nil {
			return err
		}
	}
	return s.f.Sync()
}

// open reads the header and the last chunk: that it is the last says that none
// is missing.
func (s *sealedFile) open() error {
	size, err := s.f.Size()
	if err != nil {
		return err
	}
	body := size - int64(sealedHeader)
	if body < chacha20poly1305.Overhead {
		return ErrSealed
	}
	head := make([]byte, sealedHeader)
	if _, err := s.f.ReadAt(head, 0); err != nil {
		return err
	}
	if string(head[:len(sealedMagic)]) != sealedMagic {
		return ErrSealed
	}
	s.prefix = head[len(sealedMagic):]
	s.count = (body + sealedWhole - 1) / sealedWhole
	s.size = body - s.count*chacha20poly1305.Overhead
	s.plain, s.sealed = make([]byte, 0, sealedChunk), make([]byte, sealedWhole)
	return s.load(s.count - 1)
}

// ReadAt implements [vfs.File]. It is not to be called by two goroutines at a
// time.
func (s *sealedFile) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 || s.count == 0 {
		return 0, errors.ErrUnsupported
	}
	for n < len(p) {
		if off >= s.size {
			return n, io.EOF
		}
		if err := s.load(off / sealedChunk); err != nil {
			return n, err
		}
		k := copy(p[n:], s.plain[off%sealedChunk:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// load reads a chunk, unless it was read last.
func (s *sealedFile) load(number int64) error {
	if s.at == number {
		return nil
	}
	s.at = -1
	from := number * sealedWhole
	sealed := s.sealed[:min(sealedWhole, s.size+s.count*chacha20poly1305.Overhead-from)]
	if _, err := s.f.ReadAt(sealed, int64(sealedHeader)+from); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	plain, err := s.aead.Open(s.plain[:0], s.nonce(number, number == s.count-1), sealed, nil)
	if err != nil {
		return ErrSealed
	}
	s.plain, s.at = plain, number
	return nil
}
