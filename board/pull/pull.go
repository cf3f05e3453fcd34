// Package pull brings a model from a web address or an OCI registry to this board. It
// goes on where it was interrupted, and what is not whole or not what was asked for
// never gets the file's name.
package pull

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/whet-edge/whet/board/rest"
	"github.com/whet-edge/whet/format/vfs"
)

// Errors of a pull that a caller tells apart.
var (
	ErrReference = errors.New("pull: not a model's address")
	ErrDigest    = errors.New("pull: what came is not what was asked for")
)

// A Puller pulls models.
type Puller struct {
	Client   rest.Client
	FS       vfs.FS                  // nil: the system's
	Progress func(done, total int64) // in bytes; total is 0 if it is not known; may be nil
	Limit    int64                   // most bytes of a model; 0: 4 GiB
}

// A Blob is where a model's bytes are.
type Blob struct {
	URL    string
	Token  string // for the registry; "": none
	SHA256 string // in hex; "" if the address does not say it
	Size   int64  // 0 if it is not known
	Name   string // what the file is called there

	Signature *Blob // of this one; nil if there is none to be found
}

// signatureMark is what is put behind a file's name to get its signature's.
const signatureMark = ".minisig"

const (
	defaultLimit = 4 << 30
	// mostHops is how many redirections are followed.
	mostHops = 5
	// partMark is what is put behind the name of a file that is not whole yet.
	partMark = ".part"
)

// Find says where the model is that a reference names:
//
//	https://HOST/PATH/NAME.whet[#sha256=HEX]
//	oci://REGISTRY/REPOSITORY[:TAG|@sha256:HEX]
//
// It asks a registry for its manifest; a web address is not asked yet.
func (p *Puller) Find(ctx context.Context, reference string) (*Blob, error) {
	u, err := url.Parse(reference)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%w: %s: https://HOST/PATH or oci://REGISTRY/REPOSITORY:TAG is expected", ErrReference, reference)
	}
	switch u.Scheme {
	case "oci":
		return p.findOCI(ctx, u)
	case "https", "http":
	default:
		return nil, fmt.Errorf("%w: %s: https://HOST/PATH or oci://REGISTRY/REPOSITORY:TAG is expected", ErrReference, reference)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("%w: %s: https:// is expected, for others can change what comes over http://", ErrReference, reference)
	}
	b := &Blob{Name: filepath.Base(u.Path)}
	if u.Fragment != "" {
		sum, ok := strings.CutPrefix(u.Fragment, "sha256=")
		if !ok || !isSHA256(sum) {
			return nil, fmt.Errorf("%w: %s: #sha256= with 64 digits of hex is expected", ErrReference, reference)
		}
		b.SHA256 = strings.ToLower(sum)
		u.Fragment = ""
	}
	b.URL = u.String()
	u.Path += signatureMark
	b.Signature = &Blob{URL: u.String(), Name: b.Name + signatureMark}
	return b, nil
}

// Bytes returns a small blob, of at most limit bytes.
func (p *Puller) Bytes(ctx context.Context, b *Blob, limit int64) ([]byte, error) {
	resp, err := p.ask(ctx, b.URL, b.Token, 0, "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("pull: %s answers %s", b.URL, resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("pull: %s has more than %d bytes", b.URL, limit)
	}
	if b.SHA256 != "" {
		err = sameSHA256(text, b.SHA256)
	}
	return text, err
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// Get brings a blob into a file, which is made or replaced only when all of it is
// there, its digest is right and check, if it is not nil, finds no fault with the
// file of that name. What has come before an interruption is kept beside it, and Get
// goes on from there.
func (p *Puller) Get(ctx context.Context, b *Blob, name string, check func(part string) error) error {
	fsys := p.FS
	if fsys == nil {
		fsys = vfs.OS
	}
	part := name + partMark
	if err := p.fill(ctx, fsys, b, part); err != nil {
		return err
	}
	err := verify(fsys, b, part)
	if err == nil && check != nil {
		err = check(part)
	}
	if err != nil {
		// It is whole and wrong: going on from it would give the same.
		return errors.Join(err, fsys.Remove(part))
	}
	if err := fsys.Rename(part, name); err != nil {
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

// fill appends to the part until it is whole, and makes it durable.
func (p *Puller) fill(ctx context.Context, fsys vfs.FS, b *Blob, part string) (err error) {
	have, _, err := fsys.Stat(part)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if b.Size > 0 && have == b.Size {
		return nil
	}
	if b.Size > 0 && have > b.Size || b.Size == 0 && b.SHA256 == "" {
		have = 0 // of something else, or not to be told apart from it
	}
	resp, err := p.ask(ctx, b.URL, b.Token, have, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var f vfs.File
	switch resp.StatusCode {
	case http.StatusPartialContent:
		if from, ok := rangeStart(resp.Header.Get("Content-Range")); !ok || from != have {
			return fmt.Errorf("pull: %s sends from byte %d where %d was asked for", b.URL, from, have)
		}
		f, err = fsys.Append(part)
	case http.StatusRequestedRangeNotSatisfiable:
		return nil // nothing is left; the digest decides
	default: // all of it, also from servers that know no ranges
		have = 0
		f, err = fsys.Create(part)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	total := b.Size
	if total == 0 && resp.ContentLength > 0 {
		total = have + resp.ContentLength
	}
	limit := p.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	if total > limit {
		return fmt.Errorf("pull: %s has %d bytes, more than %d", b.URL, total, limit)
	}
	n, err := io.Copy(&counted{f, have, total, p.Progress}, io.LimitReader(resp.Body, limit-have+1))
	if err != nil {
		// What came is worth keeping, whether or not it reaches the disk now.
		_ = f.Sync()
		return fmt.Errorf("pull: after %d bytes (the next pull goes on from there): %w", have+n, err)
	}
	if have+n > limit {
		return fmt.Errorf("pull: %s has more than %d bytes", b.URL, limit)
	}
	if total > 0 && have+n != total {
		return fmt.Errorf("pull: %s sent %d of %d bytes (the next pull goes on from there): %w", b.URL, have+n, total, io.ErrUnexpectedEOF)
	}
	return f.Sync()
}

// rangeStart reads "bytes FROM-TO/ALL".
func rangeStart(h string) (from int64, ok bool) {
	h, ok = strings.CutPrefix(h, "bytes ")
	first, _, found := strings.Cut(h, "-")
	from, err := strconv.ParseInt(first, 10, 64)
	return from, ok && found && err == nil
}

// verify reads the file anew: what was written is not always what is there.
func verify(fsys vfs.FS, b *Blob, name string) error {
	if b.SHA256 == "" {
		return nil
	}
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	return same(h.Sum(nil), b.SHA256)
}

func sameSHA256(b []byte, want string) error {
	sum := sha256.Sum256(b)
	return same(sum[:], want)
}

func same(sum []byte, want string) error {
	if got := hex.EncodeToString(sum); got != want {
		return fmt.Errorf("%w: SHA-256 %s, not %s", ErrDigest, got, want)
	}
	return nil
}

// ask sends a GET and follows redirections. A token goes to the first host only.
func (p *Puller) ask(ctx context.Context, at, token string, from int64, accept string) (*http.Response, error) {
	u, err := url.Parse(at)
	if err != nil {
		return nil, err
	}
	for range mostHops {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("User-Agent", "whet")
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		if from > 0 {
			req.Header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
		}
		resp, err := p.Client.Do(req)
		if err != nil {
			return nil, err
		}
		switch resp.StatusCode {
		case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable, http.StatusUnauthorized:
			return resp, nil
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			said, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
			_ = resp.Body.Close()
			return nil, fmt.Errorf("pull: %s answers %s %s", u.Redacted(), resp.Status, bytes.TrimSpace(said))
		}
		_ = resp.Body.Close()
		next, err := u.Parse(resp.Header.Get("Location"))
		if err != nil || next.Host == "" {
			return nil, fmt.Errorf("pull: %s points to nowhere", u.Redacted())
		}
		if u.Scheme == "https" && next.Scheme != "https" {
			return nil, fmt.Errorf("pull: %s points to %s, which is not encrypted", u.Redacted(), next.Redacted())
		}
		if next.Host != u.Host {
			token = ""
		}
		u = next
	}
	return nil, fmt.Errorf("pull: %s points on more than %d times", at, mostHops)
}

// counted tells how far a download is.
type counted struct {
	w           io.Writer
	done, total int64
	progress    func(done, total int64)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.done += int64(n)
	if c.progress != nil {
		c.progress(c.done, c.total)
	}
	return n, err
}
