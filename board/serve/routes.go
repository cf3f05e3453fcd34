package serve

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"
)

// A route is a door of the server. Its handler answers, or returns an error
// that is answered with the protocol's error object.
type route struct {
	pattern string // of http.ServeMux
	scope   scope  // that a token must have
	handle  func(*Server, http.ResponseWriter, *http.Request) error
}

// routeTable is all the doors. Tests hold a golden exchange for each.
var routeTable = []route{
	{"GET /v2", scopeInfer, (*Server).metadata},
	{"GET /v2/health/live", scopeOpen, (*Server).live},
	{"GET /v2/health/ready", scopeOpen, (*Server).ready},
	{"GET /v2/models/stats", scopeInfer, (*Server).statistics},
	{"GET /v2/models/{model}", scopeInfer, (*Server).modelMetadata},
	{"GET /v2/models/{model}/ready", scopeInfer, (*Server).modelReady},
	{"POST /v2/models/{model}/infer", scopeInfer, (*Server).infer},
	{"GET /v2/models/{model}/versions", scopeInfer, (*Server).listVersions},
	{"GET /v2/models/{model}/versions/{version}", scopeInfer, (*Server).modelMetadata},
	{"GET /v2/models/{model}/versions/{version}/ready", scopeInfer, (*Server).modelReady},
	{"POST /v2/models/{model}/versions/{version}/infer", scopeInfer, (*Server).infer},
	{"GET /v2/models/{model}/stats", scopeInfer, (*Server).statistics},
	{"GET /v2/models/{model}/versions/{version}/stats", scopeInfer, (*Server).statistics},

	{"POST /v2/repository/index", scopeInfer, (*Server).repositoryIndex},
	{"POST /v2/repository/models/{model}/load", scopeAdmin, (*Server).loadModel},
	{"POST /v2/repository/models/{model}/unload", scopeAdmin, (*Server).unloadModel},

	{"POST /v2/models/{model}/samples", scopeSample, (*Server).addSample},
	{"GET /v2/models/{model}/samples", scopeSample, (*Server).listSamples},
	{"DELETE /v2/models/{model}/samples", scopeAdmin, (*Server).purgeSamples},
	{"GET /v2/models/{model}/samples/export", scopeSample, (*Server).exportSamples},
	{"GET /v2/models/{model}/samples/{id}", scopeSample, (*Server).getSample},
	{"DELETE /v2/models/{model}/samples/{id}", scopeSample, (*Server).deleteSample},

	{"POST /v2/models/{model}/train", scopeTrain, (*Server).startTraining},
	{"GET /v2/models/{model}/train", scopeTrain, (*Server).trainingStatus},
	{"DELETE /v2/models/{model}/train", scopeTrain, (*Server).cancelTraining},
	{"POST /v2/models/{model}/train/plan", scopeTrain, (*Server).planTraining},
	{"POST /v2/models/{model}/versions", scopeTrain, (*Server).publishVersion},
	{"POST /v2/models/{model}/promote", scopeTrain, (*Server).promote},
	{"POST /v2/models/{model}/rollback", scopeTrain, (*Server).rollback},

	{"POST /v2/models/{model}/canary", scopeTrain, (*Server).startCanary},
	{"GET /v2/models/{model}/canary", scopeInfer, (*Server).canaryStatus},
	{"DELETE /v2/models/{model}/canary", scopeTrain, (*Server).endCanary},

	{"GET /v2/models/{model}/drift", scopeInfer, (*Server).driftStatus},
	{"DELETE /v2/models/{model}/drift", scopeTrain, (*Server).forgetReference},

	// TensorFlow Serving's.
	{"GET /v1/models/{model}", scopeInfer, (*Server).tfStatus},
	{"GET /v1/models/{model}/metadata", scopeInfer, (*Server).tfMetadata},
	{"POST /v1/models/{call}", scopeInfer, (*Server).predict},
	{"POST /v1/models/{model}/versions/{call}", scopeInfer, (*Server).predict},
	{"POST /v1/models/{model}/labels/{call}", scopeInfer, (*Server).predict},

	{"GET /metrics", scopeInfer, (*Server).serveMetrics},

	// The page, and what only it asks for.
	{"GET /v2/models/{model}/about", scopeInfer, (*Server).about},
	{"GET /v2/board", scopeInfer, (*Server).board},
	{"GET /{$}", scopePage, (*Server).page},
	{"GET /page/{file}", scopePage, (*Server).page},
	{"GET /pair/{code}", scopeOpen, (*Server).showPairing},
	{"POST /pair/{code}", scopeOpen, (*Server).pairBrowser},
}

// requestIDHeader names a request in the log and in the reply.
const requestIDHeader = "X-Request-Id"

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routeTable {
		mux.Handle(r.pattern, s.door(r))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = trimSlash(r.URL.Path)
		h, pattern := mux.Handler(r)
		if pattern == "" {
			s.noRoute(w, r, h)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// trimSlash lets "/v2/" be "/v2": the specification writes both.
func trimSlash(path string) string {
	if len(path) > 1 && path[len(path)-1] == '/' {
		return path[:len(path)-1]
	}
	return path
}

// noRoute answers with the mux's status, 404 or 405, in the protocol's form.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request, h http.Handler) {
	w.Header().Set(requestIDHeader, requestID(r))
	probe := statusProbe{header: w.Header()}
	h.ServeHTTP(&probe, r)
	w.Header().Del("X-Content-Type-Options")
	msg := fmt.Errorf("there is nothing at %s", r.URL.Path)
	if probe.code == http.StatusMethodNotAllowed {
		msg = fmt.Errorf("%s does not take %s: it takes %s", r.URL.Path, r.Method, w.Header().Get("Allow"))
	}
	writeError(w, probe.code, msg)
}

type statusProbe struct {
	header http.Header
	code   int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
func (p *statusProbe) WriteHeader(code int)        { p.code = code }

// door wraps a route's handler with what every request gets: an id, a time
// limit, a check of where it comes from, a line in the log, its metrics, and
// shelter from panics.
func (s *Server) door(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := requestID(r)
		w.Header().Set(requestIDHeader, id)
		rec := &recorder{ResponseWriter: w}
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
		defer cancel()
		var err error
		defer func() {
			if v := recover(); v != nil {
				s.cfg.Log.Error("panic", "request", id, "value", fmt.Sprint(v), "stack", string(debug.Stack()))
				err = fmt.Errorf("internal error; request %s in the log tells more", id)
			}
			if err != nil && rec.code == 0 {
				writeError(rec, status(err), err)
			}
			s.metrics.request(rec.model, rec.version, rec.code, time.Since(start), err)
			s.logRequest(r, id, rec, time.Since(start), err)
			if err != nil && rec.code < 400 {
				panic(http.ErrAbortHandler) // so that half a reply does not look like a whole one
			}
		}()
		switch err = s.admit(rec, r, rt.scope); {
		case err == nil:
			err = rt.handle(s, rec, r.WithContext(ctx))
		case rt.scope == scopePage && status(err) == http.StatusUnauthorized:
			notPaired(rec)
		}
	})
}

func (s *Server) logRequest(r *http.Request, id string, rec *recorder, took time.Duration, err error) {
	level := slog.LevelDebug
	switch {
	case rec.code >= 500 && rec.code != http.StatusServiceUnavailable:
		level = slog.LevelError
	case rec.code >= 400 && rec.code != http.StatusServiceUnavailable:
		level = slog.LevelWarn
	case r.Method != http.MethodGet && rec.quiet == "":
		level = slog.LevelInfo
	}
	if !s.cfg.Log.Enabled(r.Context(), level) {
		return
	}
	args := []any{"request", id, "method", r.Method, "path", r.URL.Path, "status", rec.code, "bytes", rec.bytes, "seconds", took.Seconds()}
	if rec.client != "" {
		args = append(args, "client", rec.client)
	}
	if err != nil {
		args = append(args, "error", err.Error())
	}
	s.cfg.Log.Log(r.Context(), level, "request", args...)
}

// recorder notes what became of a request.
type recorder struct {
	http.ResponseWriter
	code           int
	bytes          int64
	model, version string // that answered
	client         string // whose token it was
	quiet          string // a reason for logging only failures: the request is one of very many
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// answeredBy notes the model of a request for the metrics.
func answeredBy(w http.ResponseWriter, model, version string) {
	if r, ok := w.(*recorder); ok {
		r.model, r.version, r.quiet = model, version, "inference"
	}
}

// requestID takes over the client's request id if it is one that can stand in a
// log line, or makes one.
func requestID(r *http.Request) string {
	id := r.Header.Get(requestIDHeader)
	ok := len(id) > 0 && len(id) <= 64
	for _, c := range []byte(id) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if ok {
		return id
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// admit lets a request through, or tells why not.
func (s *Server) admit(rec *recorder, r *http.Request, need scope) (err error) {
	rec.client, err = s.cfg.Access.check(r, need)
	if status(err) == http.StatusUnauthorized {
		rec.Header().Set("WWW-Authenticate", `Bearer realm="whet"`) // RFC 6750
	}
	if err != nil || rec.client != "" || s.cfg.Access.public() && r.TLS != nil {
		return err // a browser sends no token by itself, and names are many on a public address
	}
	return sameSite(r)
}

// sameSite refuses what a web page in a browser on this machine could send: a
// page of another origin (it says so in Origin), or one whose name was pointed
// at this machine after it was loaded (its name is in Host).
func sameSite(r *http.Request) error {
	if overUnix(r) {
		return nil // browsers do not speak to unix sockets
	}
	if !loopbackHost(r.Host) {
		return refuse(http.StatusForbidden, "host %q is not this machine: use localhost or 127.0.0.1", r.Host)
	}
	if o := r.Header.Get("Origin"); o != "" {
		if u, err := url.Parse(o); err != nil || u.Host != r.Host {
			return refuse(http.StatusForbidden, "requests of web pages of %s are not answered", strconv.Quote(o))
		}
	}
	return nil
}

// loopbackHost reports whether a host, with or without a port, is this machine.
func loopbackHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if len(host) > 2 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
