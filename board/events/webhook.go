package events

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/whet-edge/whet/board/rest"
)

// Webhook posts each event as JSON to a web address, in order, until the answer is a
// success. The header Idempotency-Key holds the event's id.
type Webhook struct {
	URL    string
	Token  string // sent as a bearer token; "": none
	Client rest.Client
}

// webhookTime is how long one post may take.
const webhookTime = 15 * time.Second

// Run sends the outbox's events until the context is done. An address that refuses
// an event for good (4xx but 408, 425 and 429) is told to failed with a wait of 0, and
// the event is left out: the next one may please it.
func (h *Webhook) Run(ctx context.Context, box *Outbox, failed func(err error, wait time.Duration)) {
	sent := box.Loaded()
	retry(ctx, failed, func() (success bool, err error) {
		for {
			if err := box.Wait(ctx, 0); err != nil {
				return success, err
			}
			e := box.After(0, 1)[0]
			e.Again = e.ID <= sent
			sent = max(sent, e.ID)
			refused, err := h.post(ctx, e)
			if err != nil && !refused {
				return success, err
			}
			if refused {
				failed(err, 0)
			}
			success = true
			if err := box.Settle(e.ID); err != nil {
				return success, err
			}
		}
	})
}

// post sends one event. refused says that it would be refused again.
func (h *Webhook) post(ctx context.Context, e Event) (refused bool, err error) {
	body, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	ctx, stop := context.WithTimeout(ctx, webhookTime)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", strconv.FormatUint(e.ID, 10))
	if h.Token != "" {
		req.Header.Set("Authorization", "Bearer "+h.Token)
	}
	resp, err := h.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return false, nil
	}
	err = fmt.Errorf("event %d: %s answers %s", e.ID, req.URL.Redacted(), resp.Status)
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false, err
	}
	return resp.StatusCode/100 == 4, err
}
