package store

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealer encrypts samples with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha):
// most boards have no AES instructions. A sample's label, form and data are
// sealed, each record under a random nonce of its own of which the last byte
// says what is sealed with it, so that no part can be put in another's place.
// That a sample is there, when it came to disk and how large it is, everybody
// can see.
type sealer struct {
	aead cipher.AEAD // nil: what is added is not encrypted, and nothing sealed can be read
}

// KeySize is the length of the key of [Options], in bytes.
const KeySize = chacha20poly1305.KeySize

// ErrKey means that there are encrypted samples and not the key to them.
var ErrKey = errors.New("store: the samples are encrypted with another key: start with the one that they were added with (nothing was changed)")

// The last byte of a nonce.
const (
	sealsMeta = 0
	sealsData = 1
)

func newSealer(key []byte) (sealer, error) {
	if key == nil {
		return sealer{}, nil
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return sealer{}, fmt.Errorf("store: the key: %w", err)
	}
	return sealer{aead}, nil
}

// nonceFor returns a copy of a nonce for a part of the record.
func nonceFor(nonce []byte, part byte) []byte {
	n := append([]byte(nil), nonce...)
	n[len(n)-1] = part
	return n
}

// seal encrypts a sample's data, and returns with it what makes its meta once
// the id is known.
func (c sealer) seal(data []byte) (sealed []byte, meta func(plain []byte) []byte) {
	if c.aead == nil {
		return data, func(plain []byte) []byte { return plain }
	}
	nonce := make([]byte, c.aead.NonceSize())
	_, _ = rand.Read(nonce) // it never fails
	nonce[len(nonce)-1] = sealsMeta
	meta = func(plain []byte) []byte {
		b := append([]byte{kindSealed}, nonce...)
		return c.aead.Seal(b, nonce, plain, nil)
	}
	return c.aead.Seal(nil, nonceFor(nonce, sealsData), data, nil), meta
}

// overhead is how much longer sealing makes a record.
func (c sealer) overhead() int64 {
	if c.aead == nil {
		return 0
	}
	return int64(1 + c.aead.NonceSize() + 2*c.aead.Overhead())
}

// openMeta returns a sealed sample's plain meta. The record's checksum was good,
// so what does not open was sealed with another key.
func (c sealer) openMeta(meta []byte) ([]byte, error) {
	if c.aead == nil || len(meta) < 1+c.aead.NonceSize() {
		return nil, ErrKey
	}
	nonce, sealed := meta[1:1+c.aead.NonceSize()], meta[1+c.aead.NonceSize():]
	plain, err := c.aead.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, ErrKey
	}
	return plain, nil
}

// openData returns the data that a record's meta belongs to.
func (c sealer) openData(meta, data []byte) ([]byte, error) {
	if meta[0] != kindSealed {
		return data, nil
	}
	if c.aead == nil {
		return nil, ErrKey
	}
	plain, err := c.aead.Open(nil, nonceFor(meta[1:1+c.aead.NonceSize()], sealsData), data, nil)
	if err != nil {
		return nil, ErrCorrupt
	}
	return plain, nil
}

// ReadKey reads a key of [KeySize] bytes from a file that only its owner may
// read. One is made with
//
//	(umask 077; head -c 32 /dev/urandom > sample.key)
func ReadKey(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: others may read the key (mode %#o): chmod 600 %s", name, st.Mode().Perm(), name)
	}
	if st.Size() != KeySize {
		return nil, fmt.Errorf("%s: a key has %d bytes, this has %d: make one with (umask 077; head -c %d /dev/urandom > %s)", name, KeySize, st.Size(), KeySize, name)
	}
	return os.ReadFile(name)
}
