// Package sign signs models and deltas, and says whether a signature may be
// believed, in minisign's format (https://jedisct1.github.io/minisign/): Ed25519
// over a BLAKE2b hash of the file, and over a comment that is trusted therefore.
//
// The comment says what the file is for and how new it is:
//
//	model:NAME counter:N
//
// A signature for another model is refused, and so is a counter below one that
// has been accepted before: who can replace a file must not be able to bring an
// older model back. Signatures that minisign itself made with such a comment
// (-t) are as good unless they are of its older kind (-l), and minisign verifies what this package has signed.
package sign

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"aead.dev/minisign"
)

// Suffix of a signature's file name, after that of the file that it signs.
const Suffix = ".minisig"

// Errors that a caller tells apart.
var (
	ErrUnsigned = errors.New("it is not signed")
	ErrForged   = errors.New("its signature is not one of these keys over these bytes")
	ErrOther    = errors.New("its signature is for another model")
	ErrOlder    = errors.New("it is older than what was accepted before")
)

// A Claim is what a signature says of a file.
type Claim struct {
	Model   string `json:"model"`
	Counter uint64 `json:"counter"`
}

// maxText bounds keys and signatures, which have four lines at most.
const maxText = 8 << 10

// Keys are those whose signatures are believed.
type Keys []minisign.PublicKey

// ReadKeys reads a file of public keys as minisign writes them, one after the
// other: a comment and a line of base64 each.
func ReadKeys(name string) (Keys, error) {
	text, err := readText(name)
	if err != nil {
		return nil, err
	}
	var keys Keys
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "untrusted comment:") {
			continue
		}
		var k minisign.PublicKey
		if err := k.UnmarshalText([]byte(line)); err != nil {
			return nil, fmt.Errorf("%s: %.20q is not a minisign public key: %w", name, line, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no minisign public key", name)
	}
	return keys, nil
}

// ReadSecretKey reads a secret key as minisign writes it. password is asked for
// the password of one that is encrypted.
func ReadSecretKey(name string, password func() (string, error)) (minisign.PrivateKey, error) {
	text, err := readText(name)
	if err != nil {
		return minisign.PrivateKey{}, err
	}
	var key minisign.PrivateKey
	if !minisign.IsEncrypted(text) {
		if err := key.UnmarshalText(text); err != nil {
			return key, fmt.Errorf("%s is not a minisign secret key: %w", name, err)
		}
		return key, nil
	}
	secret, err := password()
	if err != nil {
		return key, err
	}
	if key, err = minisign.DecryptKey(secret, text); err != nil {
		return key, fmt.Errorf("%s: wrong password, or not a minisign secret key: %w", name, err)
	}
	return key, nil
}

// Sign returns the text of a signature over a file.
func Sign(key minisign.PrivateKey, file io.Reader, c Claim) ([]byte, error) {
	if c.Model == "" || strings.ContainsAny(c.Model, " \t\r\n:") {
		return nil, fmt.Errorf("a model cannot be called %q", c.Model)
	}
	r := minisign.NewReader(file)
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	return r.SignWithComments(key, fmt.Sprintf("model:%s counter:%d", c.Model, c.Counter), "signature from whet sign"), nil
}

// Verify returns what a signature claims, if it is a signature of one of the
// keys over the file, for that model, and not older than least.
func (k Keys) Verify(file io.Reader, signature []byte, model string, least uint64) (Claim, error) {
	if len(signature) == 0 {
		return Claim{}, ErrUnsigned
	}
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return Claim{}, fmt.Errorf("%w (%v)", ErrForged, err)
	}
	r := minisign.NewReader(file)
	if _, err := io.Copy(io.Discard, r); err != nil {
		return Claim{}, err
	}
	good := false
	for _, key := range k {
		good = good || r.Verify(key, signature)
	}
	if !good {
		return Claim{}, ErrForged
	}
	c, err := claim(s.TrustedComment)
	switch {
	case err != nil:
		return c, err
	case c.Model != model:
		return c, fmt.Errorf("%w: for %q, not %q", ErrOther, c.Model, model)
	case c.Counter < least:
		return c, fmt.Errorf("%w: counter %d, after %d", ErrOlder, c.Counter, least)
	}
	return c, nil
}

// claim reads a trusted comment; words that it does not know are others' matter.
func claim(comment string) (Claim, error) {
	var c Claim
	counted := false
	for word := range strings.FieldsSeq(comment) {
		what, value, _ := strings.Cut(word, ":")
		switch what {
		case "model":
			c.Model = value
		case "counter":
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil || n == math.MaxUint64 { // nothing could follow it
				return c, fmt.Errorf("%w: its counter %q is no number", ErrOther, value)
			}
			c.Counter, counted = n, true
		}
	}
	if c.Model == "" || !counted {
		return c, fmt.Errorf("%w: its trusted comment %q lacks model:NAME or counter:N", ErrOther, comment)
	}
	return c, nil
}

// VerifyFile verifies a file by the signature beside it.
func (k Keys) VerifyFile(name, model string, least uint64) (Claim, error) {
	signature, err := readText(name + Suffix)
	if errors.Is(err, os.ErrNotExist) {
		return Claim{}, fmt.Errorf("%s: %w: there is no %s beside it; whet sign makes it", name, ErrUnsigned, Suffix)
	}
	if err != nil {
		return Claim{}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return Claim{}, err
	}
	defer f.Close()
	c, err := k.Verify(f, signature, model, least)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// readText reads a small file.
func readText(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(b) > maxText {
		err = fmt.Errorf("%s: over %d bytes: neither a key nor a signature", name, maxText)
	}
	return b, err
}
