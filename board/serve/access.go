package serve

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// A scope is what a token allows. The zero value is none, so that a route
// without a scope is closed to everybody.
type scope int

const (
	scopeOpen   scope = iota + 1 // no token needed: probes that tell nothing of the models
	scopePage                    // the page's files, which tell nothing; where browsers are paired, only to those
	scopeInfer                   // asking, and seeing what there is
	scopeSample                  // adding, reading and deleting samples, one at a time
	scopeTrain                   // training and which version serves
	scopeAdmin                   // loading and unloading models, deleting all samples, and all of the above
)

var scopeNames = map[string]scope{"infer": scopeInfer, "sample": scopeSample, "train": scopeTrain, "admin": scopeAdmin}

func (s scope) String() string {
	for name, v := range scopeNames {
		if v == s {
			return name
		}
	}
	return "no"
}

// Access is who may come in over TCP: without tokens everybody who reaches the
// listener. On a unix socket the file's permissions decide instead.
type Access struct {
	tokens []token
	tls    *tls.Config // nil: plain
	pair   *Pairing    // nil: no browser is paired
}

// Pair lets paired browsers in, beside those who have a token.
func (a *Access) Pair(p *Pairing) { a.pair = p }

func (a *Access) pairing() *Pairing {
	if a == nil {
		return nil
	}
	return a.pair
}

// A token is kept as its hash: hashes have one length, so that comparing them
// takes the same time whatever was sent.
type token struct {
	name   string // for the log
	hash   [sha256.Size]byte
	scopes []scope
}

// AccessFiles are the files that access is made of; "" is without.
type AccessFiles struct {
	Tokens    string // lines of NAME SCOPE[,SCOPE] TOKEN
	Cert, Key string // PEM, for TLS
	ClientCA  string // PEM; clients must show a certificate of one of these
}

const (
	minToken     = 32 // bytes: 128 bits in hexadecimal
	maxTokenFile = 64 << 10
)

// NewAccess reads the files. The certificate is read anew when its file
// changes, for certificates run out while the daemon runs.
func NewAccess(f AccessFiles) (*Access, error) {
	a := new(Access)
	if f.Tokens != "" {
		var err error
		if a.tokens, err = readTokens(f.Tokens); err != nil {
			return nil, err
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, fmt.Errorf("%w: TLS needs both --tls-cert and --tls-key", ErrAddress)
	}
	if f.Cert == "" {
		if f.ClientCA != "" {
			return nil, fmt.Errorf("%w: --client-ca needs --tls-cert and --tls-key", ErrAddress)
		}
		return a, nil
	}
	c := &certificate{cert: f.Cert, key: f.Key}
	if _, err := c.get(nil); err != nil {
		return nil, err
	}
	a.tls = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	if f.ClientCA != "" {
		pem, err := os.ReadFile(f.ClientCA)
		if err != nil {
			return nil, err
		}
		a.tls.ClientCAs, a.tls.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !a.tls.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: there is no certificate in it (PEM is expected)", f.ClientCA)
		}
	}
	return a, nil
}

func readTokens(path string) ([]token, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%s: everybody can read the tokens: chmod 600 %s", path, path)
	}
	if st.Size() > maxTokenFile {
		return nil, fmt.Errorf("%s: %d bytes, more than %d are no token file", path, st.Size(), maxTokenFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tokens, err := parseTokens(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tokens, nil
}

// parseTokens reads the lines. Its errors do not repeat what may be a token.
func parseTokens(b []byte) ([]token, error) {
	var tokens []token
	sc := bufio.NewScanner(bytes.NewReader(b))
	for n := 1; sc.Scan(); n++ {
		f := strings.Fields(sc.Text())
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if len(f) != 3 {
			return nil, fmt.Errorf("line %d: it has %d words, want NAME SCOPE[,SCOPE] TOKEN", n, len(f))
		}
		if len(f[2]) < minToken {
			return nil, fmt.Errorf("line %d: a token of %d bytes can be guessed, %d are the least: openssl rand -hex 32 makes a good one", n, len(f[2]), minToken)
		}
		t := token{name: f[0], hash: sha256.Sum256([]byte(f[2]))}
		for name := range strings.SplitSeq(f[1], ",") {
			s, ok := scopeNames[name]
			if !ok {
				return nil, fmt.Errorf("line %d: there is no scope %q: infer, sample, train, admin", n, name)
			}
			t.scopes = append(t.scopes, s)
		}
		for _, o := range tokens {
			if o.hash == t.hash {
				return nil, fmt.Errorf("line %d: the token of %s again", n, o.name)
			}
		}
		tokens = append(tokens, t)
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, errors.New("there is no token in it: lines of NAME SCOPE[,SCOPE] TOKEN are expected")
	}
	return tokens, nil
}

// public reports whether a listener may be open to other machines.
func (a *Access) public() bool {
	return a != nil && (len(a.tokens) > 0 || a.pair != nil) && a.tls != nil
}

// errToken is answered with 401; who asks without a token is not told more.
var errToken = refuse(http.StatusUnauthorized, "a valid token is needed: Authorization: Bearer TOKEN")

// check lets a request through or tells why not, and returns the client's name.
func (a *Access) check(r *http.Request, need scope) (client string, err error) {
	switch {
	case need == 0:
		return "", refuse(http.StatusForbidden, "nobody may do this")
	case need == scopeOpen, overUnix(r), a == nil, need == scopePage && a.pair == nil:
		return "", nil
	case len(a.tokens) == 0 && (a.pair == nil || r.TLS == nil):
		return "", nil // what is not encrypted comes from this machine
	}
	if a.pair != nil {
		if name := a.pair.client(r); name != "" && r.Header.Get("Authorization") == "" {
			if need != scopePage && !slices.Contains(pairedScopes, need) {
				return name, refuse(http.StatusForbidden, "a paired browser does not have the scope %s", need)
			}
			return name, sameOrigin(r)
		}
	}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", errToken
	}
	sent := sha256.Sum256([]byte(strings.TrimSpace(value)))
	var found *token
	for i := range a.tokens { // all of them, so that the time does not tell which
		if subtle.ConstantTimeCompare(sent[:], a.tokens[i].hash[:]) == 1 {
			found = &a.tokens[i]
		}
	}
	switch {
	case found == nil:
		return "", errToken
	case need != scopePage && !slices.Contains(found.scopes, need) && !slices.Contains(found.scopes, scopeAdmin):
		return found.name, refuse(http.StatusForbidden, "the token of %s does not have the scope %s", found.name, need)
	}
	return found.name, nil
}

// overUnix reports whether a request came through a unix socket.
func overUnix(r *http.Request) bool {
	addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && addr.Network() == "unix"
}

// A certificate is that of a file.
type certificate struct {
	cert, key string

	mu      sync.Mutex
	checked time.Time
	changed time.Time // modification time of cert when it was read
	pair    *tls.Certificate
}

// certificateCheck is how often the file is looked at.
const certificateCheck = time.Minute

// get returns the certificate; a new one that is not good leaves the old.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pair != nil && time.Since(c.checked) < certificateCheck {
		return c.pair, nil
	}
	c.checked = time.Now()
	st, err := os.Stat(c.cert)
	if err == nil && (c.pair == nil || !st.ModTime().Equal(c.changed)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
			c.pair, c.changed = &pair, st.ModTime()
		}
	}
	if c.pair == nil {
		return nil, fmt.Errorf("%s: %w", c.cert, err)
	}
	return c.pair, nil
}
