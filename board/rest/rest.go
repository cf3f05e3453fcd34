// Package rest sends HTTP requests, one a connection. It is what a daemon's few
// messages need; the client of net/http would make the program 220 KB larger.
package rest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Client sends requests. The zero value is good.
type Client struct {
	TLS *tls.Config // nil: the system's certificates
	// Dial opens the connection; nil: to the URL's host.
	Dial func(ctx context.Context) (net.Conn, error)
}

// dialTime is how long opening a connection may take.
const dialTime = 10 * time.Second

// Do sends a request, and returns the answer when its header is there. The
// connection ends with the answer's body, which the caller closes, or with the
// request's context. Redirections are not followed.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	conn, err := c.connect(ctx, req.URL)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	end := func() error {
		stop()
		return conn.Close()
	}
	req.Close = true
	resp, err := exchange(conn, req)
	if err != nil {
		_ = end() // the first error says why
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Redacted(), err)
	}
	resp.Body = &body{resp.Body, end}
	return resp, nil
}

func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(conn), req)
}

type body struct {
	io.ReadCloser
	end func() error
}

func (b *body) Close() error { return errors.Join(b.ReadCloser.Close(), b.end()) }

func (c *Client) connect(ctx context.Context, u *url.URL) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial(ctx)
	}
	d := &net.Dialer{Timeout: dialTime}
	port := u.Port()
	switch u.Scheme {
	case "https":
		if port == "" {
			port = "443"
		}
		return (&tls.Dialer{NetDialer: d, Config: c.TLS}).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	case "http":
		if port == "" {
			port = "80"
		}
		return d.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	}
	return nil, fmt.Errorf("%s: http:// or https:// is expected", u.Redacted())
}
