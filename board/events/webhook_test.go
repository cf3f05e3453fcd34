package events

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whet-edge/whet/board/rest"
)

// answering is a server at the other end of a pipe.
func answering(answer func(*http.Request) (int, error)) rest.Client {
	return rest.Client{Dial: func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			r, err := http.ReadRequest(bufio.NewReader(theirs))
			if err != nil {
				return
			}
			if code, err := answer(r); err == nil {
				fmt.Fprintf(theirs, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", code, http.StatusText(code))
			}
		}()
		return ours, nil
	}}
}

// An address that is away for a while gets everything, one that refuses an event
// for good gets the next.
func TestWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := testBox(t)
		answers := []any{200, errors.New("no route"), 503, 429, 200, 400, 200}
		var got []string
		h := &Webhook{URL: "https://user:secret@host/x", Token: "t", Client: answering(func(r *http.Request) (int, error) {
			var e Event
			if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
				t.Error(err)
			}
			if r.Header.Get("Authorization") != "Bearer t" {
				t.Error(r.Header)
			}
			mark := ""
			if e.Again {
				mark = " again"
			}
			got = append(got, r.Header.Get("Idempotency-Key")+mark)
			a := answers[0]
			answers = answers[1:]
			if err, ok := a.(error); ok {
				return 0, err
			}
			return a.(int), nil
		})}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var failures []string
		wg.Go(func() {
			h.Run(ctx, box, func(err error, _ time.Duration) { failures = append(failures, err.Error()) })
		})
		add(t, box, 4)
		time.Sleep(time.Minute)
		stop()
		wg.Wait()
		if want := []string{"1", "2", "2 again", "2 again", "2 again", "3", "4"}; !slices.Equal(got, want) || box.Pending() != 0 {
			t.Errorf("%q, want %q; %d are left", got, want, box.Pending())
		}
		if len(failures) != 4 || strings.Contains(strings.Join(failures, ""), "secret") {
			t.Errorf("failures %q", failures)
		}
	})
}
