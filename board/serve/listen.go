package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxSocketPath is how long a unix socket's path may be everywhere (sun_path of
// the BSDs has 104 bytes with the final zero, of Linux 108).
const maxSocketPath = 103

// ErrAddress is wrapped by errors about addresses that are not listened on.
var ErrAddress = errors.New("not an address to listen on")

// Listen opens a listener on a unix socket ("unix:PATH", or a path with a
// slash) or a TCP address. One that other machines can reach is refused unless
// access asks for tokens and encrypts them.
func Listen(addr string, access *Access) (net.Listener, error) {
	if path, ok := socketPath(addr); ok {
		return listenUnix(path)
	}
	hostport, err := tcpAddress(addr, access)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", hostport)
	if err != nil {
		return nil, fmt.Errorf("%w (another --listen address may be free)", err)
	}
	if access != nil && access.tls != nil {
		return secure{tls.NewListener(l, access.tls)}, nil
	}
	return l, nil
}

// CheckAddress says what [Listen] would have against an address.
func CheckAddress(addr string, access *Access) error {
	if path, ok := socketPath(addr); ok {
		return checkSocketPath(path)
	}
	_, err := tcpAddress(addr, access)
	return err
}

// tcpAddress returns the address to listen on, if it may be.
func tcpAddress(addr string, access *Access) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%w: %q: give HOST:PORT or unix:PATH, such as 127.0.0.1:8000", ErrAddress, addr)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); (ip == nil || !ip.IsLoopback()) && !access.public() {
		return "", fmt.Errorf("%w: %q can be reached from other machines: give --token-file, --tls-cert and --tls-key, or use 127.0.0.1:%s, and from elsewhere ssh -L %s:127.0.0.1:%s THIS-HOST",
			ErrAddress, addr, port, port, port)
	}
	return net.JoinHostPort(host, port), nil
}

// secure marks a listener that speaks TLS.
type secure struct{ net.Listener }

func socketPath(addr string) (string, bool) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return path, true
	}
	return addr, strings.ContainsRune(addr, filepath.Separator)
}

func checkSocketPath(path string) error {
	if path == "" || len(path) > maxSocketPath {
		return fmt.Errorf("%w: a socket's path has 1 to %d bytes, %q has %d: choose a shorter one with --listen unix:PATH", ErrAddress, maxSocketPath, path, len(path))
	}
	return nil
}

// listenUnix makes a socket that its owner and group may use. One that a dead
// process left is replaced.
func listenUnix(path string) (net.Listener, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%w: %s is there and is no socket", ErrAddress, path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			return nil, errors.Join(fmt.Errorf("%s: another server answers there", path), c.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Address returns how to reach a listener: a URL, or unix:PATH.
func Address(l net.Listener) string {
	if l.Addr().Network() == "unix" {
		return "unix:" + l.Addr().String()
	}
	if _, ok := l.(secure); ok {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}
