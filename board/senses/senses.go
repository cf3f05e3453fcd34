// Package senses brings what a board sees and hears to a model: USB cameras
// (V4L2) and microphones (ALSA) by the kernel's own interfaces, Raspberry Pi
// cameras and network streams through a child process, files and folders.
//
// A source makes frames at its own pace and a model reads them at its own. Between
// them stands [Latest], which holds the newest frame only: a model that is slower
// than the camera sees a picture that is new, never a backlog.
package senses

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Frame is one picture, or one stretch of sound, as a file.
type Frame struct {
	Source string    // as given to [Open]
	Seq    uint64    // counts the frames of a source from 1, dropped ones included
	Time   time.Time // when it was complete
	Media  string    // MIME type of Data: image/jpeg, audio/wav and so on
	Name   string    // of the file it came from, if it did
	Data   []byte    // never changed once the frame is given away
}

// A Source makes frames until it ends, fails or the context is done. A device that
// is gone and a child that has ended are errors, after which Run may be called
// again; a file that has been read whole ends without one.
type Source interface {
	Run(ctx context.Context, give func(Frame)) error
}

// ErrSpec marks an error of [Open] that the caller's words caused.
var ErrSpec = errors.New("senses: not a source")

func specErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSpec, fmt.Sprintf(format, args...))
}

// Latest is a queue of length one: a frame that nobody has taken yet gives way to
// a newer one. The zero value is ready.
type Latest struct {
	mu      sync.Mutex
	frame   *Frame
	dropped uint64
	closed  bool
	more    chan struct{} // closed when a frame or the end has come
}

// Put offers a frame. It never blocks.
func (l *Latest) Put(f Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.frame != nil {
		l.dropped++
	}
	l.frame = &f
	l.wake()
}

// Close says that no more frames come. One that waits can still be taken.
func (l *Latest) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake()
}

func (l *Latest) wake() {
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

// Next takes the newest frame, and waits for one if need be. ok is false after
// Close or when the context is done.
func (l *Latest) Next(ctx context.Context) (f Frame, ok bool) {
	for {
		l.mu.Lock()
		if l.frame != nil {
			f, l.frame = *l.frame, nil
			l.mu.Unlock()
			return f, true
		}
		if l.closed {
			l.mu.Unlock()
			return Frame{}, false
		}
		if l.more == nil {
			l.more = make(chan struct{})
		}
		more := l.more
		l.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return Frame{}, false
		}
	}
}

// Dropped returns how many frames gave way to newer ones.
func (l *Latest) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// Waits between two starts of a source that fails: doubled each time, from the
// first to the longest, and begun anew when it has run for a while.
const (
	firstWait   = time.Second
	longestWait = time.Minute
)

// Keep runs a source until it ends without an error or the context is done. When
// it fails it is started again, after a wait that grows while it keeps failing.
// failed is told of each failure and of the wait that follows.
func Keep(ctx context.Context, s Source, give func(Frame), failed func(err error, wait time.Duration)) {
	wait := firstWait
	for {
		begin := time.Now()
		err := s.Run(ctx, give)
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(begin) >= longestWait {
			wait = firstWait
		}
		failed(err, wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, longestWait)
	}
}
