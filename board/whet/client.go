package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/whet-edge/whet/board/rest"
)

// A daemonClient sends one request a connection to a daemon of this board.
type daemonClient struct {
	network, address string
	token            string // "": none; the unix socket asks for none
}

const (
	maxReply  = 16 << 20 // bounds what a daemon is believed to say
	replyTime = 10 * time.Second
)

// daemonAddress is the address that was given, else the socket of the daemon with
// that state directory, else of the one that whet serve starts by itself.
func daemonAddress(address, state string) (string, error) {
	if address != "" {
		return address, nil
	}
	if state == "" {
		var err error
		if state, err = defaultState(); err != nil {
			return "", err
		}
	}
	return "unix:" + filepath.Join(state, "whet.sock"), nil
}

func newDaemonClient(address string) (daemonClient, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return daemonClient{network: "unix", address: path}, nil
	}
	if host, ok := strings.CutPrefix(address, "http://"); ok {
		return daemonClient{network: "tcp", address: strings.TrimSuffix(host, "/")}, nil
	}
	return daemonClient{}, usagef("--address %s: unix:PATH or http://HOST:PORT is expected", address)
}

// get decodes the reply to a request with an empty object.
func (c daemonClient) get(ctx context.Context, method, path string, v any) (status int, err error) {
	return c.send(ctx, method, path, "application/json", []byte("{}"), v)
}

// send decodes the reply to a request.
func (c daemonClient) send(ctx context.Context, method, path, media string, body []byte, v any) (status int, err error) {
	ctx, stop := context.WithTimeout(ctx, replyTime)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", media)
	if c.network == "tcp" {
		req.Host = c.address
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	to := rest.Client{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, c.network, c.address)
	}}
	resp, err := to.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return resp.StatusCode, fmt.Errorf("%s answers %s with what is no JSON: %w", path, resp.Status, err)
	}
	return resp.StatusCode, nil
}
