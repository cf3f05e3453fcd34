package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	resp, err := c.do(ctx, method, path, http.Header{"Content-Type": {media}}, body)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, decodeReply(resp, path, v)
}

func decodeReply(resp *http.Response, path string, v any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s answers %s with what is no JSON: %w", path, resp.Status, err)
	}
	return nil
}

// do sends a request. The caller closes the reply's body.
func (c daemonClient) do(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	if c.network == "tcp" {
		req.Host = c.address
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	to := rest.Client{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, c.network, c.address)
	}}
	return to.Do(req)
}

// daemonFlags say which daemon a command is for.
type daemonFlags struct{ state, address, tokenFile string }

func (f *daemonFlags) add(cmd *cobra.Command) {
	fl := cmd.PersistentFlags()
	fl.StringVar(&f.state, "state", "", "the daemon's state directory (default as for whet serve)")
	fl.StringVar(&f.address, "address", "", "unix:PATH or http://HOST:PORT instead")
	fl.StringVar(&f.tokenFile, "token-file", "", "file with a token for the daemon")
}

// request sends a request about a model and returns the reply if it is no
// refusal. The caller closes its body. It takes as long as it takes: a model's
// first run on a slow board is long.
func (f *daemonFlags) request(ctx context.Context, method, model, path string, header http.Header, body []byte) (*http.Response, error) {
	address, err := daemonAddress(f.address, f.state)
	if err != nil {
		return nil, err
	}
	c, err := newDaemonClient(address)
	if err != nil {
		return nil, err
	}
	if c.token, err = secret(f.tokenFile); err != nil {
		return nil, err
	}
	if header == nil {
		header = http.Header{}
	}
	resp, err := c.do(ctx, method, "/v2/models/"+url.PathEscape(model)+path, header, body)
	if err != nil {
		return nil, fmt.Errorf("no daemon answers at %s (whet serve starts one): %w", address, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var refusal struct{ Error string }
	if err := decodeReply(resp, path, &refusal); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("the daemon answers %s: %s", resp.Status, refusal.Error)
}

// ask is request with a reply of JSON.
func (f *daemonFlags) ask(ctx context.Context, method, model, path string, header http.Header, body []byte, v any) error {
	resp, err := f.request(ctx, method, model, path, header, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decodeReply(resp, path, v)
}
