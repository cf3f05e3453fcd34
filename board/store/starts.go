package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
)

// A daemon that dies soon after its start, again and again, must come up all the
// same: it counts on disk how many starts in a row have ended early, and which
// version of each model has been seen to serve for a while. After five such
// starts it is in safe mode.
type starts struct {
	mu    sync.Mutex
	early int // starts before this one that ended early, in a row
	good  map[string]string
}

// safeAfter is how many starts in a row must end early for the next level of
// safe mode.
const safeAfter = 5

// The levels of safe mode.
const (
	normal   = iota
	lastGood // only versions that served until the daemon was known to stay up
	baseOnly // models without what was learned
	nothing  // no models: what is left can be asked and mended
)

const startsName = "starts"

type startsFile struct {
	Early int               `json:"early"`
	Good  map[string]string `json:"good"`
}

// Start notes that the daemon begins, until [Store.Stable] or [Store.Stopped]
// say how that went. It returns why the daemon is in safe mode, or nothing.
func (s *Store) Start() (safe string, err error) {
	s.starts.mu.Lock()
	defer s.starts.mu.Unlock()
	f := s.readStarts()
	s.starts.early, s.starts.good = f.Early, f.Good
	f.Early++
	return s.safeReason(), s.writeStarts(f)
}

// Stable notes that the daemon stays up with these versions of its models.
func (s *Store) Stable(serving map[string]string) error {
	s.starts.mu.Lock()
	defer s.starts.mu.Unlock()
	f := startsFile{Early: s.starts.early, Good: maps.Clone(s.starts.good)}
	if s.level() == normal {
		f.Early = 0
		f.Good = serving
	}
	s.starts.good = f.Good
	return s.writeStarts(f)
}

// Stopped notes that the daemon was told to end: whatever it was, that was no
// crash.
func (s *Store) Stopped() error {
	s.starts.mu.Lock()
	defer s.starts.mu.Unlock()
	f := startsFile{Good: s.starts.good}
	if have := s.readStarts(); have.Early == 0 {
		return nil
	}
	return s.writeStarts(f)
}

// level is that of safe mode. The caller holds starts.mu.
func (s *Store) level() int { return min(s.starts.early/safeAfter, nothing) }

func (s *Store) safeReason() string {
	what := [...]string{
		lastGood: "models serve in the last version that was seen to stay up",
		baseOnly: "models serve without what was learned",
		nothing:  "no model is loaded",
	}[s.level()]
	if what == "" {
		return ""
	}
	return fmt.Sprintf("safe mode: the last %d starts ended early, so %s and nothing is trained; stop and start the daemon to leave it", s.starts.early, what)
}

// allowed leaves of a model's versions those that safe mode lets serve.
func (s *Store) allowed(model string, versions []string) []string {
	s.starts.mu.Lock()
	defer s.starts.mu.Unlock()
	switch s.level() {
	case lastGood:
		from := slices.Index(versions, s.starts.good[model])
		if from < 0 {
			return []string{Base}
		}
		return versions[from:]
	case baseOnly:
		return []string{Base}
	case nothing:
		return nil
	}
	return versions
}

// readStarts reads the file. One that is missing or damaged says nothing: a
// daemon that starts is better than one that counts.
func (s *Store) readStarts() startsFile {
	var f startsFile
	b, err := readFile(s.fsys, s.path(startsName), maxManifest)
	line, body, _ := bytes.Cut(b, []byte("\n"))
	if err != nil || string(line) != startsLine(body) || json.Unmarshal(body, &f) != nil || f.Early < 0 {
		return startsFile{}
	}
	return f
}

func (s *Store) writeStarts(f startsFile) error {
	body, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return writeFile(s.fsys, s.path(startsName), append([]byte(startsLine(body)+"\n"), body...))
}

func startsLine(body []byte) string {
	return fmt.Sprintf("whet starts 1 crc32c %08x", crc32.Checksum(body, castagnoli))
}
