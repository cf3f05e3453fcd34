package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"syscall"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
)

// busy is a refusal that goes away by itself: 503 with Retry-After.
type busy struct {
	reason string // for the metric
	msg    string
	after  int // seconds
}

func (b *busy) Error() string { return b.msg }

func refuse(status int, f string, args ...any) error { return oip.Errorf(status, f, args...) }

// status returns the HTTP status that an error is answered with.
func status(err error) int {
	var e *oip.Error
	var b *busy
	switch {
	case errors.As(err, &e):
		return e.Status
	case errors.As(err, &b):
		return http.StatusServiceUnavailable
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, store.ErrName):
		return http.StatusBadRequest
	case errors.Is(err, store.ErrQuota), errors.Is(err, syscall.ENOSPC):
		return http.StatusInsufficientStorage
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case errors.Is(err, context.Canceled):
		return 499 // the client went away; nobody reads this but the log
	}
	return http.StatusInternalServerError
}

// writeError answers with the protocol's error object.
func writeError(w http.ResponseWriter, code int, err error) {
	if b, ok := errors.AsType[*busy](err); ok {
		w.Header().Set("Retry-After", strconv.Itoa(b.after))
	}
	writeJSON(w, code, struct {
		Error string `json:"error"`
	}{err.Error()})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error":"the reply has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(code)
	// A write that fails has no one to be told: the client is gone.
	_, _ = w.Write(append(body, '\n'))
}
