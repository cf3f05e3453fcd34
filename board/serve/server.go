// Package serve is the daemon: it answers inference requests by the Open
// Inference Protocol v2 over HTTP, keeps labelled samples, tunes its models on
// them in the background, and swaps versions without dropping a request.
package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/whet-edge/whet/board/info"
	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/sign"
	"github.com/whet-edge/whet/board/store"
)

// Config is what a server is made of. Zero values of the limits mean the
// defaults named.
type Config struct {
	Models  string // folder of NAME.whet
	Store   *store.Store
	Engine  Engine
	Trainer Trainer // nil: training is answered with 501
	Log     *slog.Logger
	Version string
	Access  *Access   // nil: no tokens
	Trial   Trial     // nil: models are not tried before they are loaded
	Keys    sign.Keys // of those whose models are served; nil: signatures are not asked for
	Safe    string    // why the daemon is in safe mode, in which it does not train; "": it is not

	Board func() *info.Board // what the board is now; nil: looked up

	Memory    int64         // bytes of weights and sessions of all models; 0: no limit
	Sessions  int           // of a model, that is how many requests it computes at a time; 1
	MaxQueue  int           // requests that may wait for a model; 64
	MaxWait   time.Duration // a request that would wait longer is refused at once; 0: none is for that
	MaxBody   int64         // bytes of one request; 64 MiB
	MaxBodies int64         // bytes of all requests being read or computed; 128 MiB
	Timeout   time.Duration // of a request, unless it names a shorter one; 30 s
}

func (c *Config) defaults() {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Board == nil {
		c.Board = func() *info.Board { return info.Read("/") }
	}
	for _, l := range []struct {
		v   *int
		def int
	}{{&c.Sessions, 1}, {&c.MaxQueue, 64}} {
		if *l.v == 0 {
			*l.v = l.def
		}
	}
	if c.MaxBody == 0 {
		c.MaxBody = 64 << 20
	}
	if c.MaxBodies == 0 {
		c.MaxBodies = 128 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
}

// A Server is the daemon without its listeners.
type Server struct {
	cfg        Config
	repo       *repository
	jobs       *jobs
	metrics    *metrics
	governor   *governor
	handler    http.Handler
	loaded     atomic.Bool    // the first loading of all models has been tried
	background sync.WaitGroup // what goes on when its request has been answered
	bodies     atomic.Int64   // bytes reserved for request bodies
	buffers    sync.Pool      // of *bytes.Buffer for them

	decoding sync.Mutex // held while a picture or sound is decoded
}

// New makes a server; [Server.Load] gives it its models.
func New(cfg Config) (*Server, error) {
	cfg.defaults()
	s := &Server{cfg: cfg}
	s.buffers.New = func() any { return new(bytes.Buffer) }
	s.governor = newGovernor()
	s.repo = &repository{
		dir: cfg.Models, engine: cfg.Engine, store: cfg.Store, log: cfg.Log,
		trial: cfg.Trial, safe: cfg.Safe, gate: gatekeeper{cfg.Keys, cfg.Store}, memory: cfg.Memory,
		limits: limits{cfg.Sessions, cfg.MaxQueue, cfg.MaxWait, s.governor.rest}, models: map[string]*entry{},
	}
	if err := s.repo.scan(); err != nil {
		return nil, err
	}
	s.jobs = &jobs{safe: cfg.Safe, repo: s.repo, store: cfg.Store, trainer: cfg.Trainer, log: cfg.Log, inputs: s.inputsOf, last: map[string]*JobStatus{}}
	s.governor.training, s.governor.feel = s.jobs.busy, func() Feeling { return feelingOf(cfg.Board()) }
	if p, ok := cfg.Trainer.(pausable); ok {
		s.governor.pause = p.Pause
	}
	s.metrics = newMetrics(s)
	s.jobs.ended = s.metrics.trainEnded
	s.jobs.canary = s.tryCanary
	s.handler = s.routes()
	return s, nil
}

// Handler returns the HTTP handler.
func (s *Server) Handler() http.Handler { return s.handler }

// Load loads all models of the folder, one after the other, and takes up the
// training jobs that were interrupted. A model that does not load is left out
// and says why in the repository index. Until Load returns, the server is not
// ready.
func (s *Server) Load(ctx context.Context) error {
	for _, e := range s.repo.entries() {
		// The reason is kept by the model itself; the others are to be served.
		_ = s.repo.load(ctx, e.name)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	s.loaded.Store(true)
	if s.cfg.Safe != "" {
		return nil // the jobs may be what it died of; they stay for the next start
	}
	return s.jobs.resume()
}

// Models counts the models that are served and those that are not.
func (s *Server) Models() (ready, unavailable int) {
	for _, e := range s.repo.entries() {
		e.mu.Lock()
		if e.state == stateReady {
			ready++
		} else {
			unavailable++
		}
		e.mu.Unlock()
	}
	return ready, unavailable
}

// AddDelta makes a delta that was tuned elsewhere a version of the model whose
// file it belongs to, and lets that version serve. The signature is needed only
// where keys are.
func (s *Server) AddDelta(ctx context.Context, base string, delta, signature []byte) (model, version string, err error) {
	for _, e := range s.repo.entries() {
		n, err := s.repo.hold(e.name, "")
		if err != nil {
			continue
		}
		digest := n.Digest()
		n.release()
		if digest != base {
			continue
		}
		v, err := s.addVersion(e.name, base, delta, signature)
		if err != nil {
			return e.name, "", err
		}
		_, err = s.repo.promote(ctx, e.name, v.Version)
		return e.name, v.Version, err
	}
	return "", "", fmt.Errorf("no model of %s has the digest %.12s that the delta was tuned from", s.cfg.Models, base)
}

// drainTime is how long requests under way may take after the server was told
// to stop.
const drainTime = 10 * time.Second

// Serve answers on the listeners until ctx ends, then lets the requests under
// way finish, stops training (which goes on after the next start) and closes
// the models.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      60*time.Second + s.cfg.Timeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- srv.Serve(l) }()
	}
	go s.governor.watch(ctx)
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.cfg.Log.Info("stopping")
	if nerr := Notify("STOPPING=1"); nerr != nil {
		s.cfg.Log.Warn("stopping", "error", nerr)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err = errors.Join(err, srv.Shutdown(drain))
	s.stop()
	return err
}

// stop ends what goes on without a request and closes the models.
func (s *Server) stop() {
	s.jobs.stop()
	s.background.Wait()
	s.repo.close()
}

// body reads a request's body of at most limit bytes. The caller calls done
// when it no longer needs the bytes; they are another request's then.
func (s *Server) body(w http.ResponseWriter, r *http.Request, limit int64) (b []byte, done func(), err error) {
	limit = min(limit, s.cfg.MaxBody)
	size := r.ContentLength
	if size > limit {
		return nil, nil, tooLarge(size, limit)
	}
	if size < 0 {
		size = limit // chunked: it may become that long
	}
	if s.bodies.Add(size) > s.cfg.MaxBodies {
		s.bodies.Add(-size)
		return nil, nil, &busy{reason: "memory", msg: "too many request bodies at a time: try again later", after: 1}
	}
	buf := s.buffers.Get().(*bytes.Buffer)
	buf.Reset()
	done = func() {
		s.bodies.Add(-size)
		if buf.Cap() <= maxKeptBuffer {
			s.buffers.Put(buf)
		}
	}
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead) // ReadFrom needs the room to see the end
	}
	_, err = buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		err = tooLarge(-1, limit)
	case err != nil && r.Context().Err() != nil:
		err = r.Context().Err()
	case err != nil:
		err = refuse(http.StatusBadRequest, "the body ends early: %v", err)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return buf.Bytes(), done, nil
}

// maxKeptBuffer is the largest buffer that waits for another request's body.
const maxKeptBuffer = 4 << 20

func tooLarge(size, limit int64) error {
	if size < 0 {
		return refuse(http.StatusRequestEntityTooLarge, "the body is over the limit of %d bytes", limit)
	}
	return refuse(http.StatusRequestEntityTooLarge, "the body of %d bytes is over the limit of %d", size, limit)
}

// readJSON reads a small JSON body into v; an empty body leaves v as it is.
func (s *Server) readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	b, done, err := s.body(w, r, 64<<10)
	if err != nil {
		return err
	}
	defer done()
	if len(b) == 0 {
		return nil
	}
	return oip.DecodeJSON(b, v)
}
