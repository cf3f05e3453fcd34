package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/whet-edge/whet/test/power/blocklog"
	"github.com/whet-edge/whet/test/power/book"
	"github.com/whet-edge/whet/test/power/vm"
)

// A replayResult is how many disks were made and checked.
type replayResult struct {
	Points    int     `json:"flush_points"`
	Requests  int     `json:"requests_logged"`
	Added     int     `json:"samples_acknowledged"`
	Deleted   int     `json:"deletions_acknowledged"`
	Published int     `json:"versions_published"`
	Switched  int     `json:"version_changes"`
	Seconds   float64 `json:"seconds"`
}

// A noted line was said when the log was that long.
type noted struct {
	at   int64
	line string
}

func replay(o *options, dir string) (any, error) {
	start := time.Now()
	o.load = "store"
	k, initrd, err := o.guest(dir)
	if err != nil {
		return nil, err
	}
	disk, log := filepath.Join(dir, "disk"), filepath.Join(dir, "log")
	if err := vm.MakeDisk(disk, 16); err != nil {
		return nil, err
	}
	empty, err := os.ReadFile(disk)
	if err != nil {
		return nil, err
	}
	run := []string{"/load", "store", "--step"}
	if o.unsafe {
		run = append(run, "--unsafe")
	}
	if err := os.WriteFile(log, nil, 0o644); err != nil {
		return nil, err
	}
	lines, err := record(vm.Config{Kernel: k, Initrd: initrd, Disk: disk, Log: log, Run: run}, log, o)
	if err != nil {
		return nil, err
	}
	result := replayResult{}
	if err := o.check(dir, log, empty, lines, &result); err != nil {
		return nil, fmt.Errorf("after %d flushes: %w", result.Points, err)
	}
	result.Seconds = time.Since(start).Seconds()
	return result, nil
}

// record lets the guest work until enough flushes are in the log. The guest
// waits after each line until it is known how long the log is, so that all that
// had to be on disk for that line is before that point.
func record(config vm.Config, log string, o *options) ([]noted, error) {
	m, err := vm.Boot(config)
	if err != nil {
		return nil, err
	}
	boot := time.AfterFunc(bootTime, func() { _ = m.Cut() })
	defer boot.Stop()
	var lines []noted
	enough := 0 // of lines; how many flushes they have made is counted now and then
	ready := false
	for line := range m.Lines {
		if line == "ready" {
			ready = boot.Stop()
			continue
		}
		st, err := os.Stat(log)
		if err != nil {
			return nil, errors.Join(err, m.Cut(), m.Wait())
		}
		lines = append(lines, noted{st.Size(), line})
		if len(lines) > enough {
			n, err := flushes(log)
			if err != nil {
				return nil, errors.Join(err, m.Cut(), m.Wait())
			}
			if n >= o.points || o.unsafe && len(lines) > 500 {
				break
			}
			fmt.Fprintf(os.Stderr, "recorded %d flushes\n", n)
			enough = len(lines) + max(20, (o.points-n)/4)
		}
		if err := m.Send(""); err != nil {
			break // it has ended; Wait says why
		}
	}
	if err := m.Cut(); err != nil {
		return nil, err
	}
	if err := m.Wait(); err != nil {
		return nil, err
	}
	if !ready {
		return nil, fmt.Errorf("it was not up after %v", bootTime)
	}
	return lines, nil
}

// flushes counts those in a log.
func flushes(name string) (n int, err error) {
	l, err := blocklog.Open(name)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	for {
		e, err := l.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if e.Flush {
			n++
		}
	}
}

// A disk to check, and the book of that moment.
type point struct {
	number int
	image  []byte
	book   *book.Book
}

// workers check disks at a time: they wait for other programs mostly.
const workers = 2

// check makes a disk for each flush of the log and checks it.
func (o *options) check(dir, log string, empty []byte, lines []noted, result *replayResult) error {
	l, err := blocklog.Open(log)
	if err != nil {
		return err
	}
	defer l.Close()
	var checks sync.WaitGroup
	points := make(chan point)
	failed := make(chan error, workers)
	for i := range workers {
		own := filepath.Join(dir, fmt.Sprint("worker", i))
		if err := os.Mkdir(own, 0o755); err != nil {
			return err
		}
		checks.Go(func() {
			for p := range points {
				image := filepath.Join(own, "image")
				err := os.WriteFile(image, p.image, 0o644)
				if err == nil {
					err = checkImage(image, own, p.book, 1)
				}
				if err != nil {
					failed <- fmt.Errorf("before flush %d: %w", p.number, err)
					return
				}
			}
		})
	}
	err = o.feed(l, empty, lines, result, points, failed)
	close(points)
	checks.Wait()
	if err != nil {
		return err
	}
	select {
	case err = <-failed:
	default:
	}
	return err
}

// feed goes through the log and sends what each flush finds.
func (o *options) feed(l *blocklog.Log, empty []byte, lines []noted, result *replayResult, points chan<- point, failed <-chan error) error {
	rng := rand.New(rand.NewPCG(o.seed, 2))
	disk := blocklog.Disk{Image: empty}
	b := book.New()
	defer func() {
		result.Added, result.Deleted, result.Published, result.Switched = b.Added, b.Deleted, b.Published, b.Switched
	}()
	for result.Points < o.points {
		e, err := l.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
		result.Requests++
		for len(lines) > 0 && lines[0].at <= e.Pos {
			if err := b.Note(lines[0].line); err != nil {
				return err
			}
			lines = lines[1:]
		}
		if e.Flush {
			result.Points++
			keep := []float64{0, 0.5, 0.9, 1}[rng.IntN(4)]
			select {
			case points <- point{result.Points, disk.Cut(rng, keep), b.Clone()}:
			case err := <-failed:
				return err
			}
			if result.Points%500 == 0 {
				fmt.Fprintf(os.Stderr, "checked %d disks\n", result.Points)
			}
		}
		if err := disk.Do(e); err != nil {
			return err
		}
	}
	return nil
}
