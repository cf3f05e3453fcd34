//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/whet-edge/whet/board/store"
	"github.com/whet-edge/whet/test/power/book"
)

const (
	socket = "/tmp/whet.sock"
	model  = "/v2/models/" + book.Model
)

// loadServe starts the daemon and asks it over its socket. /tuned.whetd is a
// delta of its model, so that there are two versions to choose from.
func loadServe() error {
	daemon := exec.Command("/whet", "serve", "--models", "/models", "--state", state, "--listen", "unix:"+socket, "--warm-up-limit", "2m", "--stable-after", "1ms")
	daemon.Stderr = io.Discard
	if err := daemon.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	c := &client{host: newHost(false), http: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: teachers + 1, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}}
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if code, _, err := c.ask("GET", "/v2/health/ready", nil); err == nil && code == http.StatusOK {
			break
		}
		if time.Since(start) > 2*time.Minute {
			return fmt.Errorf("the daemon does not become ready")
		}
	}
	var about struct {
		Inputs []struct{ Name string }
	}
	if err := c.expect(http.StatusOK, "GET", model, nil, &about); err != nil {
		return err
	}
	c.input = about.Inputs[0].Name
	if err := c.publish(); err != nil {
		return err
	}
	fmt.Println("ready")
	failed := make(chan error)
	seed := uint64(time.Now().UnixNano())
	for i := range teachers + 1 {
		do := c.teach
		if i == teachers {
			do = c.change
		}
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		go func() {
			for {
				if err := do(rng); err != nil {
					failed <- err
				}
			}
		}()
	}
	select {
	case err := <-failed:
		return err
	case err := <-ended:
		return fmt.Errorf("the daemon has ended: %w", err)
	}
}

type client struct {
	*host
	http  http.Client
	input string // of the model
}

func (c *client) ask(method, path string, body []byte) (int, []byte, error) {
	r, err := http.NewRequest(method, "http://whet"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// expect asks for JSON that must come.
func (c *client) expect(want int, method, path string, body []byte, v any) error {
	code, b, err := c.ask(method, path, body)
	if err != nil {
		return err
	}
	if code != want {
		return fmt.Errorf("%s %s is answered %d %s", method, path, code, b)
	}
	return json.Unmarshal(b, v)
}

// publish gives the daemon the tuned version, unless it has it.
func (c *client) publish() error {
	delta, err := os.ReadFile("/tuned.whetd")
	if err != nil {
		return err
	}
	var reply struct{ Version string }
	return c.expect(http.StatusCreated, "POST", model+"/versions", delta, &reply)
}

func (c *client) teach(rng *rand.Rand) error {
	if rng.IntN(8) == 0 {
		return c.forget(rng)
	}
	seed := rng.Uint64()
	body := fmt.Appendf(nil, `{"label":%q,"inputs":[{"name":%q,"shape":[1,28,28,1],"datatype":"INT8","data":[`, book.Label(seed), c.input)
	for i, p := range book.Sample(seed) {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Append(body, int8(p))
	}
	body = append(body, "]}]}"...)
	var reply struct{ ID string }
	if err := c.expect(http.StatusCreated, "POST", model+"/samples", body, &reply); err != nil {
		return err
	}
	c.tell("add %s %d", reply.ID, seed)
	return nil
}

// forget deletes one of the oldest samples.
func (c *client) forget(rng *rand.Rand) error {
	var page struct{ Samples []struct{ ID string } }
	if err := c.expect(http.StatusOK, "GET", model+"/samples?limit=50", nil, &page); err != nil || len(page.Samples) == 0 {
		return err
	}
	id := page.Samples[rng.IntN(len(page.Samples))].ID
	c.tell("drop %s", id)
	code, body, err := c.ask("DELETE", model+"/samples/"+id, nil)
	if err != nil || code != http.StatusOK && code != http.StatusNotFound { // another client was faster
		return fmt.Errorf("deleting sample %s is answered %d %s %w", id, code, body, err)
	}
	if code == http.StatusOK {
		c.tell("gone %s", id)
	}
	return nil
}

func (c *client) change(rng *rand.Rand) error {
	version := []string{store.Base, "2"}[rng.IntN(2)]
	c.tell("want %s", version)
	var reply struct{}
	if err := c.expect(http.StatusOK, "POST", model+"/promote", fmt.Appendf(nil, `{"version":%q}`, version), &reply); err != nil {
		return err
	}
	c.tell("current %s", version)
	return nil
}
