package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Base is the version of a model that is its file alone, without a delta.
const Base = "1"

// A Version of a model: its file and one delta.
type Version struct {
	Version string          `json:"version"` // "2", "3", ...; never given twice
	Base    string          `json:"base"`    // digest of the model file that the delta belongs to
	Parent  string          `json:"parent"`  // the version that was tuned
	Delta   string          `json:"delta"`   // SHA-256 of the delta file, which is its name
	Time    int64           `json:"time"`    // Unix milliseconds
	Report  json.RawMessage `json:"report,omitempty"`
}

// manifest is all there is to say about a model's versions; it is replaced as a
// whole, which makes promoting and rolling back atomic.
type manifest struct {
	Current  string    `json:"current"`
	History  []string  `json:"history"` // what was current before, latest last
	Next     int       `json:"next"`
	Versions []Version `json:"versions"`
}

const (
	maxManifest = 4 << 20
	maxDelta    = 256 << 20
	maxHistory  = 32
)

type versions struct {
	mu        sync.Mutex
	manifests map[string]*manifest
}

// openVersions reads the manifests and removes deltas that none of them names:
// a crash came between writing the two.
func (s *Store) openVersions() error {
	s.versions.manifests = map[string]*manifest{}
	models, err := s.fsys.List(s.path("versions"))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	for _, model := range models {
		if CheckName(model) != nil {
			continue
		}
		// A process may have died between a rename and its fsync: the choice that
		// it made becomes durable before anybody is told of it.
		if err := s.fsys.SyncDir(s.path("versions", model)); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		names, err := s.fsys.List(s.path("versions", model))
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
		m, err := s.readManifest(model)
		switch {
		case notExist(err):
			m = newManifest()
		case err != nil:
			// Nothing of this model is removed: its deltas may be all that is left.
			s.rec.Damaged = append(s.rec.Damaged, err.Error())
			continue
		}
		s.versions.manifests[model] = m
		for _, n := range names {
			delta, isDelta := strings.CutSuffix(n, deltaSuffix)
			if n == manifestName || isDelta && slices.ContainsFunc(m.Versions, func(v Version) bool { return v.Delta == delta }) {
				continue
			}
			if err := s.fsys.Remove(s.path("versions", model, n)); err != nil {
				return fmt.Errorf("store: %w", err)
			}
			s.rec.Incomplete++
		}
	}
	return nil
}

const (
	manifestName = "manifest"
	deltaSuffix  = ".whetd"
)

func newManifest() *manifest { return &manifest{Current: Base, Next: 2} }

func (m *manifest) find(version string) *Version {
	for i := range m.Versions {
		if m.Versions[i].Version == version {
			return &m.Versions[i]
		}
	}
	return nil
}

func (m *manifest) clone() *manifest {
	c := *m
	c.History = slices.Clone(m.History)
	c.Versions = slices.Clone(m.Versions)
	return &c
}

// readManifest reads a manifest: a line with its CRC-32C, then JSON.
func (s *Store) readManifest(model string) (*manifest, error) {
	name := s.path("versions", model, manifestName)
	b, err := readFile(s.fsys, name, maxManifest)
	if err != nil {
		return nil, err
	}
	line, body, _ := bytes.Cut(b, []byte("\n"))
	if string(line) != manifestLine(body) {
		return nil, fmt.Errorf("%w: %s", ErrCorrupt, name)
	}
	m := newManifest()
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("store: %s: %w", name, err)
	}
	return m, nil
}

func manifestLine(body []byte) string {
	return fmt.Sprintf("whet versions 1 crc32c %08x", crc32.Checksum(body, castagnoli))
}

// writeManifest makes m the model's manifest. The caller holds versions.mu.
func (s *Store) writeManifest(model string, m *manifest) error {
	body, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	body = append([]byte(manifestLine(body)+"\n"), body...)
	if err := writeFile(s.fsys, s.path("versions", model, manifestName), body); err != nil {
		return err
	}
	s.versions.manifests[model] = m
	return nil
}

// manifest returns the model's manifest, which must not be changed. The caller
// holds versions.mu.
func (s *Store) manifest(model string) *manifest {
	if m := s.versions.manifests[model]; m != nil {
		return m
	}
	return newManifest()
}

// Versions returns the tuned versions of a model, oldest first, and which one
// is current ([Base] if none).
func (s *Store) Versions(model string) ([]Version, string) {
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	m := s.manifest(model)
	return slices.Clone(m.Versions), m.Current
}

// Publish makes a delta a version of a model. It does not become current. A
// delta that is already a version keeps its number.
func (s *Store) Publish(model string, v Version, delta []byte) (Version, error) {
	if err := CheckName(model); err != nil {
		return v, err
	}
	if len(delta) > maxDelta {
		return v, fmt.Errorf("store: a delta of %d bytes is over the limit of %d", len(delta), maxDelta)
	}
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	sum := sha256.Sum256(delta)
	v.Delta = hex.EncodeToString(sum[:])
	m := s.manifest(model).clone()
	for _, have := range m.Versions {
		if have.Delta == v.Delta && have.Base == v.Base {
			return have, nil
		}
	}
	if err := mkdir(s.fsys, s.path("versions", model)); err != nil {
		return v, err
	}
	if err := writeFile(s.fsys, s.deltaName(model, v.Delta), delta); err != nil {
		return v, err
	}
	v.Version = strconv.Itoa(m.Next)
	v.Time = s.opt.Now().UnixMilli()
	m.Next++
	m.Versions = append(m.Versions, v)
	gone := m.prune(s.opt.Versions)
	if err := s.writeManifest(model, m); err != nil {
		return v, err
	}
	return v, s.removeDeltas(model, gone)
}

func (s *Store) deltaName(model, sum string) string {
	return s.path("versions", model, sum+deltaSuffix)
}

// prune drops the oldest versions beyond the newest keep that are neither
// current nor to be rolled back to, and returns their deltas.
func (m *manifest) prune(keep int) (gone []string) {
	spare := len(m.Versions) - keep
	m.Versions = slices.DeleteFunc(m.Versions, func(v Version) bool {
		spare--
		if spare < 0 || v.Version == m.Current || slices.Contains(m.History, v.Version) {
			return false
		}
		gone = append(gone, v.Delta)
		return true
	})
	return gone
}

// removeDeltas removes the files of dropped versions. One that is left behind
// is removed by [Open].
func (s *Store) removeDeltas(model string, sums []string) error {
	var errs []error
	for _, sum := range sums {
		if err := s.fsys.Remove(s.deltaName(model, sum)); err != nil {
			errs = append(errs, fmt.Errorf("store: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Promote makes a version current.
func (s *Store) Promote(model, version string) error {
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	m := s.manifest(model).clone()
	if version != Base && m.find(version) == nil {
		return fmt.Errorf("%w: version %s of model %s", ErrNotFound, version, model)
	}
	if m.Current == version {
		return nil
	}
	m.History = append(m.History, m.Current)
	if len(m.History) > maxHistory {
		m.History = m.History[1:]
	}
	m.Current = version
	return s.writeManifest(model, m)
}

// RollbackTarget returns the version that [Store.Rollback] would go back to, or
// [ErrNotFound].
func (s *Store) RollbackTarget(model string) (string, error) {
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	m := s.manifest(model)
	if len(m.History) == 0 {
		return "", fmt.Errorf("%w: model %s has no version to go back to", ErrNotFound, model)
	}
	return m.History[len(m.History)-1], nil
}

// Rollback makes the version current that was so before the current one.
func (s *Store) Rollback(model string) (string, error) {
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	m := s.manifest(model).clone()
	if len(m.History) == 0 {
		return "", fmt.Errorf("%w: model %s has no version to go back to", ErrNotFound, model)
	}
	m.Current = m.History[len(m.History)-1]
	m.History = m.History[:len(m.History)-1]
	return m.Current, s.writeManifest(model, m)
}

// Delta returns a version and its delta, which is nil for [Base]. It is
// [ErrCorrupt] if the disk has changed it.
func (s *Store) Delta(model, version string) (Version, []byte, error) {
	if version == Base {
		return Version{Version: Base}, nil, nil
	}
	s.versions.mu.Lock()
	found := s.manifest(model).find(version)
	s.versions.mu.Unlock()
	if found == nil {
		return Version{}, nil, fmt.Errorf("%w: version %s of model %s", ErrNotFound, version, model)
	}
	v := *found
	name := s.deltaName(model, v.Delta)
	b, err := readFile(s.fsys, name, maxDelta)
	if err != nil {
		return v, nil, fmt.Errorf("store: %w", err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != v.Delta {
		return v, nil, fmt.Errorf("%w: %s", ErrCorrupt, name)
	}
	return v, b, nil
}

// Fallbacks returns the versions of a model in the order in which they should
// be tried when it is brought up: the current one, those that were current
// before it, the base. In safe mode they are fewer, see [Store.Start].
func (s *Store) Fallbacks(model string) []string {
	s.versions.mu.Lock()
	defer s.versions.mu.Unlock()
	m := s.manifest(model)
	out := []string{m.Current}
	for _, v := range slices.Backward(append([]string{Base}, m.History...)) {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return s.allowed(model, out)
}
