package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/whet-edge/whet/format/vfs"
)

// Pairing lets browsers in that were shown a link on the board's own terminal.
// The link works once; what it leaves in the browser is a cookie, of which the
// board keeps the hash.
type Pairing struct {
	fsys vfs.FS
	file string

	mu     sync.Mutex
	code   string // of the next link; 128 random bits
	paired []pairedClient
	next   func(code string)
}

type pairedClient struct {
	Hash string `json:"hash"` // SHA-256 of the cookie's value, in hexadecimal
	Name string `json:"name"` // of the browser, for the log
	Time int64  `json:"time"` // Unix seconds
}

// pairedScopes are what a paired browser may do: all that the page offers.
var pairedScopes = []scope{scopeInfer, scopeSample, scopeTrain}

const (
	pairCookie = "__Host-whet" // browsers take a cookie of this prefix only over TLS, for this host alone
	pairYears  = 1
	maxPaired  = 64
)

// NewPairing reads who is paired from dir. It calls next with the code of each
// new link, the first one at once: a link that was used is replaced.
func NewPairing(fsys vfs.FS, dir string, next func(code string)) (*Pairing, error) {
	p := &Pairing{fsys: fsys, file: filepath.Join(dir, "paired.json"), next: next}
	b, err := vfs.ReadFile(fsys, p.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, &p.paired); err != nil {
			return nil, fmt.Errorf("%s: %w (delete it to pair all browsers anew)", p.file, err)
		}
	}
	p.renew()
	return p, nil
}

// renew makes a new code. The caller holds mu or is alone.
func (p *Pairing) renew() {
	p.code = secret(16)
	p.next(p.code)
}

// secret returns n random bytes in hexadecimal.
func secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return hex.EncodeToString(b)
}

// pair takes a code and returns the value of the cookie to set, or "".
func (p *Pairing) pair(code, name string, now time.Time) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if subtle.ConstantTimeCompare([]byte(code), []byte(p.code)) != 1 {
		return "", refuse(http.StatusForbidden, "this link has been used, or is not the board's newest: it shows another one")
	}
	value := secret(32)
	list := append(slices.Clone(p.paired), pairedClient{hashOf(value), name, now.Unix()})
	list = list[max(0, len(list)-maxPaired):]
	body, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	err = vfs.WriteFile(p.fsys, p.file, func(w io.Writer) error {
		_, err := w.Write(body)
		return err
	})
	if err != nil {
		return "", err
	}
	p.paired = list
	p.renew()
	return value, nil
}

func hashOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// client returns the name of the paired browser that sends a request, or "".
func (p *Pairing) client(r *http.Request) string {
	c, err := r.Cookie(pairCookie)
	if err != nil {
		return ""
	}
	hash := hashOf(c.Value)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.paired {
		if o.Hash == hash { // of a hash the time may tell
			return o.Name
		}
	}
	return ""
}

// sameOrigin refuses what a page of another origin has a paired browser send.
// Its cookie is SameSite=Strict; this is the second lock.
func sameOrigin(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	u, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || u.Host != r.Host {
		return refuse(http.StatusForbidden, "requests of other pages are not answered")
	}
	return nil
}

// pairPage is what the link opens: a button, since programs that only look at
// links must not use it up.
const pairPage = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>whet</title>
<style>body{font:18px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.6rem 1.2rem}</style>
<h1>%s</h1><p>%s</p>%s`

const pairPolicy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func writePairPage(w http.ResponseWriter, code int, title, text, form string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", pairPolicy)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(code)
	fmt.Fprintf(w, pairPage, title, text, form)
}

// showPairing asks whether this browser is to be paired.
func (s *Server) showPairing(w http.ResponseWriter, _ *http.Request) error {
	if s.cfg.Access.pairing() == nil {
		return refuse(http.StatusNotFound, "this board does not pair: it was not started with --lan")
	}
	writePairPage(w, http.StatusOK, "Pair this browser?", "It may then show this board things, name them, and teach it.",
		`<form method="post"><button autofocus>Pair</button></form>`)
	return nil
}

// pairBrowser takes the link's code and gives the browser its cookie.
func (s *Server) pairBrowser(w http.ResponseWriter, r *http.Request) error {
	p := s.cfg.Access.pairing()
	if p == nil {
		return refuse(http.StatusNotFound, "this board does not pair: it was not started with --lan")
	}
	name := r.Header.Get("User-Agent")
	name = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, name[:min(len(name), 80)])
	value, err := p.pair(r.PathValue("code"), name, time.Now())
	if status(err) == http.StatusForbidden {
		writePairPage(w, http.StatusForbidden, "Not paired", "This link has been used, or is not the newest. The board's terminal shows the one that works.", "")
		return nil
	}
	if err != nil {
		return err
	}
	s.cfg.Log.Info("paired", "client", name)
	http.SetCookie(w, &http.Cookie{
		Name: pairCookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		MaxAge: int(pairYears * 365 * 24 * time.Hour / time.Second),
	})
	// A redirect would come from the scanner's origin for SameSite=Strict: the
	// cookie would not be sent. A link is followed from this page.
	writePairPage(w, http.StatusOK, "Paired", "This browser is known now.", `<a href="/" autofocus>Open the page</a>`)
	return nil
}

// notPaired answers a browser that asks for the page and is not known.
func notPaired(w http.ResponseWriter) {
	writePairPage(w, http.StatusUnauthorized, "Not paired", "The board's terminal shows a link and a code to scan: they let this browser in.", "")
}

// The certificate that a board makes for itself.
const (
	certFile = "lan-cert.pem"
	keyFile  = "lan-key.pem"
	// Apple's browsers refuse certificates that are valid for longer.
	certTime  = 825 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// SelfSigned returns the files of a certificate for hosts that the board signed
// itself, made anew if there is none, it runs out, or lacks a host. Browsers
// warn of it once; what it gives is encryption, and camera and microphone, which
// they refuse to pages without it.
func SelfSigned(fsys vfs.FS, dir string, hosts []string, now time.Time) (cert, key string, err error) {
	cert, key = filepath.Join(dir, certFile), filepath.Join(dir, keyFile)
	if certificateHolds(fsys, cert, key, hosts, now) {
		return cert, key, nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return "", "", err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "whet on " + hosts[0]},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certTime), // boards without a clock battery wake up in the past
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{key, "PRIVATE KEY", pkcs8}, {cert, "CERTIFICATE", der}} {
		block := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		err := vfs.WriteFile(fsys, f.name, func(w io.Writer) error {
			_, err := w.Write(block)
			return err
		})
		if err != nil {
			return "", "", err
		}
	}
	return cert, key, nil
}

func certificateHolds(fsys vfs.FS, cert, key string, hosts []string, now time.Time) bool {
	b, err := vfs.ReadFile(fsys, cert)
	if err != nil {
		return false
	}
	k, err := vfs.ReadFile(fsys, key)
	if err != nil {
		return false
	}
	block, _ := pem.Decode(b)
	kblock, _ := pem.Decode(k)
	if block == nil || kblock == nil {
		return false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Add(certRenew).After(c.NotAfter) || now.Before(c.NotBefore) {
		return false
	}
	private, err := x509.ParsePKCS8PrivateKey(kblock.Bytes)
	if err != nil { // a power cut between the two files leaves a key of another certificate
		return false
	}
	p, ok := private.(*ecdsa.PrivateKey)
	if !ok || !p.PublicKey.Equal(c.PublicKey) {
		return false
	}
	return !slices.ContainsFunc(hosts, func(h string) bool { return c.VerifyHostname(h) != nil })
}

// Hosts returns the names and addresses by which other machines reach this one,
// the likeliest first.
func Hosts() []string {
	var v4, v6 []string
	addrs, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			switch {
			case !ok || n.IP.IsLoopback() || n.IP.IsLinkLocalUnicast():
			case n.IP.To4() != nil:
				v4 = append(v4, n.IP.String())
			default:
				v6 = append(v6, n.IP.String())
			}
		}
	}
	hosts := append(v4, v6...)
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
		if !strings.Contains(name, ".") {
			hosts = append(hosts, name+".local") // multicast DNS (RFC 6762)
		}
	}
	return append(hosts, "localhost", "127.0.0.1")
}
