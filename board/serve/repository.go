package serve

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/whet-edge/whet/board/serve/oip"
	"github.com/whet-edge/whet/board/store"
)

// The states of a model in the repository index (model repository extension).
const (
	stateReady       = "READY"
	stateLoading     = "LOADING"
	stateUnavailable = "UNAVAILABLE"
)

// A repository is the models of a folder, each served in one version.
//
// The folder is read when the server starts and when it is asked to load a
// model, never polled: a file that is still being copied is not looked at.
type repository struct {
	dir    string
	engine Engine
	store  *store.Store
	log    *slog.Logger
	trial  Trial  // or nil
	safe   string // why the daemon is in safe mode, or nothing
	gate   gatekeeper
	limits limits
	memory int64 // that all instances may have; 0: any

	mu     sync.Mutex
	models map[string]*entry
}

type entry struct {
	name   string
	change sync.Mutex // held while the version that serves is being changed

	mu     sync.Mutex
	live   *instance // nil unless ready
	state  string
	reason string

	watch     watch         // has a lock of its own
	canary    *canary       // or nil
	lastTrial *CanaryStatus // that has ended; nil: none since the start
}

const modelSuffix = ".whet"

func (r *repository) path(name string) string { return filepath.Join(r.dir, name+modelSuffix) }

// scan adds models whose files have appeared, without loading them.
func (r *repository) scan() error {
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("models: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), modelSuffix)
		if !ok || f.IsDir() || r.models[name] != nil {
			continue
		}
		e := &entry{name: name, state: stateUnavailable, reason: "not loaded"}
		if err := store.CheckName(name); err != nil {
			e.reason = err.Error()
		}
		r.models[name] = e
	}
	return nil
}

func (r *repository) entries() []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*entry, 0, len(r.models))
	for _, e := range r.models {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return list
}

func (r *repository) entry(name string) (*entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.models[name]; e != nil {
		return e, nil
	}
	return nil, errNoModel(name)
}

// hold returns an instance of a model, which the caller releases. The version may
// be one of the labels; "" is whichever serves.
func (r *repository) hold(name, version string) (*instance, error) {
	e, err := r.entry(name)
	if err != nil {
		return nil, err
	}
	for {
		e.mu.Lock()
		n, state, reason := e.live, e.state, e.reason
		if c := e.canary; c != nil && (version == labelCanary || version == c.version) {
			n, version = c.instance, ""
		}
		e.mu.Unlock()
		if version == labelStable {
			version = ""
		}
		switch {
		case n == nil && state == stateLoading:
			return nil, &busy{reason: "loading", msg: fmt.Sprintf("model %q is being loaded", name), after: 1}
		case n == nil:
			return nil, refuse(http.StatusNotFound, "model %q is unavailable: %s", name, reason)
		case version != "" && version != n.version:
			return nil, refuse(http.StatusNotFound, "version %q of model %q is not served: %q is; POST /v2/models/%s/promote changes that", version, name, n.version, name)
		case n.hold():
			return n, nil
		}
	}
}

// index is the reply to POST /v2/repository/index.
func (r *repository) index(readyOnly bool) ([]oip.ModelIndex, error) {
	if err := r.scan(); err != nil {
		return nil, err
	}
	list := []oip.ModelIndex{}
	for _, e := range r.entries() {
		e.mu.Lock()
		row := oip.ModelIndex{Name: e.name, State: e.state, Reason: e.reason}
		if e.live != nil {
			row.Version = e.live.version
		}
		c := e.canary
		e.mu.Unlock()
		if !readyOnly || row.State == stateReady {
			list = append(list, row)
		}
		if c != nil {
			list = append(list, oip.ModelIndex{Name: e.name, Version: c.version, State: stateReady, Reason: "on trial"})
		}
	}
	return list, nil
}

// open loads a version of a model and warms it up. A panic on the way is an
// error: whatever is in the file, the daemon stays.
func (r *repository) open(ctx context.Context, name, version string, replaced *instance) (n *instance, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = nil, fmt.Errorf("%s: loading it panicked: %v", r.path(name), v)
		}
	}()
	v, delta, err := r.store.Delta(name, version)
	if err != nil {
		return nil, err
	}
	accept, err := r.gate.model(r.path(name), name)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(r.path(name)); err == nil {
		// Its weights are about as large as its file: a trial would only run out of memory.
		if err := r.fits(name, st.Size(), replaced); err != nil {
			return nil, err
		}
	}
	if err := r.try(ctx, name, delta); err != nil {
		return nil, err
	}
	m, err := r.engine.Open(r.path(name), delta)
	if err != nil {
		return nil, err
	}
	if err := r.fits(name, m.Memory(), replaced); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	if v.Base != "" && v.Base != m.Digest() {
		return nil, errors.Join(fmt.Errorf("version %s was tuned from another %s%s (digest %.12s, now %.12s)", version, name, modelSuffix, v.Base, m.Digest()), m.Close())
	}
	n, err = newInstance(ctx, m, version, r.limits)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", r.path(name), err), m.Close())
	}
	if err := accept(); err != nil {
		n.retire()
		return nil, err
	}
	return n, nil
}

// try lets the trial see a version that it has not seen.
func (r *repository) try(ctx context.Context, name string, delta []byte) error {
	if r.trial == nil {
		return nil
	}
	st, err := os.Stat(r.path(name))
	if err != nil {
		return err
	}
	// Another program may run a model differently: what it is counts, too.
	h := sha256.New()
	fmt.Fprintf(h, "%s %d %d %s ", name, st.Size(), st.ModTime().UnixNano(), programID())
	h.Write(delta)
	key := hex.EncodeToString(h.Sum(nil))
	if r.store.Warmed(key) {
		return nil
	}
	if err := r.trial.Try(ctx, r.path(name), delta); err != nil {
		return err
	}
	if err := r.store.SetWarmed(key); err != nil {
		r.log.Warn("the model will be tried again at the next start", "model", name, "error", err)
	}
	return nil
}

// programID tells one build of the program from another.
var programID = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", st.Size(), st.ModTime().UnixNano())
})

// load brings a model up from its file, or anew if it is up. The version is the
// current one, or if that does not open the last that does; the model that
// serves keeps serving until then, and when nothing opens.
func (r *repository) load(ctx context.Context, name string) error {
	if store.CheckName(name) != nil {
		return errNoModel(name) // and it must not become part of a path
	}
	r.mu.Lock()
	e := r.models[name]
	if e == nil {
		if _, err := os.Stat(r.path(name)); err != nil {
			r.mu.Unlock()
			return errNoModel(name)
		}
		e = &entry{name: name}
		r.models[name] = e
	}
	r.mu.Unlock()

	e.change.Lock()
	defer e.change.Unlock()
	e.set(nil, stateLoading, "")
	dropped, err := r.room(ctx, e)
	if err != nil {
		return err
	}
	reason := r.safe
	for _, version := range r.store.Fallbacks(name) {
		n, err := r.open(ctx, name, version, e.serving())
		if err == nil {
			e.replace(n, reason)
			r.log.Info("model loaded", "model", name, "version", version, "bytes", n.Memory())
			return nil
		}
		r.log.Warn("model version does not load", "model", name, "version", version, "error", err)
		if reason == "" {
			reason = fmt.Sprintf("version %s does not load: %v", version, err)
		}
	}
	if dropped != "" {
		reason += "; version " + dropped + " was unloaded to make room"
	}
	e.failed(reason)
	return refuse(http.StatusBadRequest, "model %q: %s", name, reason)
}

// set notes a state; a live model stays ready while another is being loaded.
func (e *entry) set(n *instance, state, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live == nil {
		e.live, e.state, e.reason = n, state, reason
	}
}

func (e *entry) replace(n *instance, reason string) {
	e.mu.Lock()
	old, c := e.live, e.canary
	e.live, e.state, e.reason = n, stateReady, reason
	e.mu.Unlock()
	if old != nil {
		old.retire()
	}
	if c != nil {
		e.dropCanary(c, canarySuperseded, "another version was chosen")
	}
}

// failed notes why a model could not be loaded.
func (e *entry) failed(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reason = reason
	if e.live == nil {
		e.state = stateUnavailable
	}
}

func (r *repository) unload(name string) error {
	e, err := r.entry(name)
	if err != nil {
		return err
	}
	e.change.Lock()
	defer e.change.Unlock()
	e.stop("unloaded")
	return nil
}

// stop lets a model serve no more. The caller holds change.
func (e *entry) stop(reason string) {
	e.mu.Lock()
	old, c := e.live, e.canary
	e.live, e.state, e.reason = nil, stateUnavailable, reason
	e.mu.Unlock()
	if old != nil {
		old.retire()
	}
	if c != nil {
		e.dropCanary(c, canarySuperseded, reason)
	}
}

// promote makes a version the one that serves. It is loaded and warmed up
// first; then the choice is made durable; then the requests go to it.
func (r *repository) promote(ctx context.Context, name, version string) (previous string, err error) {
	return r.swap(ctx, name, func() (string, error) { return version, nil }, func() error { return r.store.Promote(name, version) })
}

// rollback makes the version serve that did so before.
func (r *repository) rollback(ctx context.Context, name string) (previous, version string, err error) {
	target := func() (string, error) {
		version, err = r.store.RollbackTarget(name)
		if errors.Is(err, store.ErrNotFound) {
			err = refuse(http.StatusConflict, "model %q has no version to go back to", name)
		}
		return version, err
	}
	previous, err = r.swap(ctx, name, target, func() error {
		_, err := r.store.Rollback(name)
		return err
	})
	return previous, version, err
}

func (r *repository) swap(ctx context.Context, name string, target func() (string, error), commit func() error) (previous string, err error) {
	e, err := r.entry(name)
	if err != nil {
		return "", err
	}
	e.change.Lock()
	defer e.change.Unlock()
	version, err := target()
	if err != nil {
		return "", err
	}
	if old := e.serving(); old != nil {
		previous = old.version
	}
	dropped, err := r.room(ctx, e)
	if err != nil {
		return "", err
	}
	n, err := r.openVersion(ctx, name, version, e.serving())
	if err == nil {
		if err = commit(); err != nil {
			n.retire()
		}
	}
	if err != nil && dropped != "" {
		err = errors.Join(err, r.bringBack(ctx, e, dropped))
	}
	if err != nil {
		return "", err
	}
	e.replace(n, "")
	r.log.Info("model version changed", "model", name, "version", version, "previous", previous)
	return previous, nil
}

// room makes sure that a version can be loaded within the memory budget. On a
// board that cannot hold two versions of a model the one that serves goes first;
// its version is returned, and requests are told to come again meanwhile. The
// caller holds change.
func (r *repository) room(ctx context.Context, e *entry) (dropped string, err error) {
	if r.memory == 0 {
		return "", nil
	}
	e.mu.Lock()
	n := e.live
	e.mu.Unlock()
	if n == nil || r.used(nil)+n.Memory() <= r.memory {
		return "", nil
	}
	e.stop("making room")
	e.set(nil, stateLoading, "")
	select {
	case <-n.gone:
		debug.FreeOSMemory() // the next one needs it at once
		return n.version, nil
	case <-ctx.Done():
		return n.version, ctx.Err()
	}
}

// used is the memory of all instances but one.
func (r *repository) used(but *instance) int64 {
	sum := int64(0)
	for _, e := range r.entries() {
		e.mu.Lock()
		n, c := e.live, e.canary
		e.mu.Unlock()
		if n != nil && n != but {
			sum += n.Memory()
		}
		if c != nil && c.instance != but {
			sum += c.Memory()
		}
	}
	return sum
}

// fits refuses a model for which the budget has no room; replaced is the
// instance that goes when it comes, or nil.
func (r *repository) fits(name string, need int64, replaced *instance) error {
	if used := r.used(replaced); r.memory > 0 && used+need > r.memory {
		return refuse(http.StatusInsufficientStorage, "model %q needs %d bytes; of the budget of %d, others have %d (--memory)", name, need, r.memory, used)
	}
	return nil
}

// openVersion is open with the answers that a client gets.
func (r *repository) openVersion(ctx context.Context, name, version string, replaced *instance) (*instance, error) {
	n, err := r.open(ctx, name, version, replaced)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, refuse(http.StatusNotFound, "model %q has no version %q", name, version)
	case status(err) == http.StatusInsufficientStorage:
		return nil, err
	case err != nil:
		return nil, refuse(http.StatusConflict, "version %q of model %q does not load: %v", version, name, err)
	}
	return n, nil
}

// bringBack loads a version that was unloaded to make room for one that failed.
func (r *repository) bringBack(ctx context.Context, e *entry, version string) error {
	n, err := r.open(ctx, e.name, version, nil)
	if err != nil {
		e.failed(fmt.Sprintf("version %s does not load: %v", version, err))
		return err
	}
	e.replace(n, "")
	return nil
}

// serving returns the instance that serves, or nil, not held.
func (e *entry) serving() *instance {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.live
}

func (r *repository) close() {
	for _, e := range r.entries() {
		e.change.Lock()
		e.stop("the server stops")
		e.change.Unlock()
	}
}
