// Package store keeps what the daemon must not forget: labelled samples, the
// tuned versions of each model with the pointer to the one that serves, and the
// training job under way.
//
// What a call has returned without error is on disk and survives a power cut.
// Every file is either written once and never changed (a version's delta, which
// is named by its SHA-256), replaced as a whole (temporary file, fsync, rename,
// fsync of the folder), or an append-only log whose records carry CRC-32C.
package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/whet-edge/whet/format/vfs"
)

// Errors that a caller tells apart.
var (
	ErrNotFound = errors.New("store: not found")
	ErrQuota    = errors.New("store: the quota is used up: delete samples or raise it")
	ErrCorrupt  = errors.New("store: checksum mismatch")
	ErrName     = errors.New("store: a model's name has letters, digits, dots, dashes and underscores, at most 128, and starts with a letter or digit")
)

// Options of a store. The zero value is good.
type Options struct {
	Quota        int64            // most bytes of samples; 0: 1 GiB
	SegmentBytes int64            // size at which a log file is followed by another; 0: 8 MiB
	Versions     int              // versions kept of a model besides those in use; 0: 8
	Ballast      int64            // bytes set aside for deleting on a full disk; 0: 1 MiB
	Evict        bool             // when the quota is used up, delete old samples rather than refuse new ones
	Key          []byte           // of [KeySize] bytes, with which samples are encrypted; nil: they are not
	Now          func() time.Time // nil: time.Now
}

// A Store is one state directory. Its methods may be called concurrently; no
// other process may have the directory open.
type Store struct {
	fsys vfs.FS
	dir  string
	opt  Options
	log  sampleLog
	rec  Recovery

	files   sync.RWMutex // held for reading while a sample is read, for writing while files are swapped
	mu      sync.Mutex   // guards the index
	byID    map[uint64]*info
	models  map[string]*modelSamples
	texts   map[string]string   // interned
	deleted map[uint64]*segment // deleted samples whose bytes are still in that segment
	pending int64               // bytes of appends under way

	sealer   sealer
	evicting sync.Mutex // held by the append that makes room for others
	onEvict  func(n int)

	versions versions
	warmed   warmed
	starts   starts
	counters counters
}

// Open opens the state directory, which is made if it does not exist, and
// repairs what a crash left in it.
func Open(fsys vfs.FS, dir string, opt Options) (*Store, error) {
	if opt.Quota == 0 {
		opt.Quota = 1 << 30
	}
	if opt.SegmentBytes == 0 {
		opt.SegmentBytes = 8 << 20
	}
	if opt.Versions == 0 {
		opt.Versions = 8
	}
	if opt.Ballast == 0 {
		opt.Ballast = 1 << 20
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	sealer, err := newSealer(opt.Key)
	if err != nil {
		return nil, err
	}
	s := &Store{
		sealer: sealer,
		fsys:   fsys, dir: dir, opt: opt,
		byID:    map[uint64]*info{},
		models:  map[string]*modelSamples{},
		texts:   map[string]string{},
		deleted: map[uint64]*segment{},
	}
	for _, d := range []string{dir, s.path("samples"), s.path("versions"), s.path("jobs")} {
		if err := mkdir(fsys, d); err != nil {
			return nil, err
		}
	}
	s.log = sampleLog{fsys: fsys, dir: s.path("samples"), limit: opt.SegmentBytes, nextID: 1, number: 1}
	if err := s.openSamples(); err != nil {
		return nil, err
	}
	if err := s.openVersions(); err != nil {
		return nil, err
	}
	s.openCounters()
	if err := vfs.RemoveTemps(fsys, dir); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.loadBallast(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// Recovered says what [Open] found.
func (s *Store) Recovered() Recovery { return s.rec }

// OnSync sets a function that is told how long each fsync of the sample log
// took. It must be set before the first sample is added.
func (s *Store) OnSync(f func(took time.Duration)) { s.log.onSync = f }

// OnEvict sets a function that is told how many samples were deleted to make
// room. It must be set before the first sample is added.
func (s *Store) OnEvict(f func(n int)) { s.onEvict = f }

// Close closes the files. Appends under way end first; later ones fail.
func (s *Store) Close() error {
	s.log.io.Lock()
	defer s.log.io.Unlock()
	s.log.closed = true
	if err := s.log.close(); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// CheckName returns [ErrName] if a model cannot be called that.
func CheckName(name string) error {
	if len(name) == 0 || len(name) > 128 {
		return ErrName
	}
	for i, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case i > 0 && (c == '.' || c == '-' || c == '_'):
		default:
			return ErrName
		}
	}
	return nil
}
