package senses

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// A child is a program that writes JPEG pictures to its standard output.
type child struct {
	name    string
	command []string
}

func (c *child) Run(ctx context.Context, give func(Frame)) error {
	var seq uint64
	return runChild(ctx, c.command, func(r io.Reader) error {
		br := bufio.NewReaderSize(r, 64<<10)
		for {
			b, err := readJPEG(br)
			if err != nil {
				return err
			}
			seq++
			give(Frame{Source: c.name, Seq: seq, Time: time.Now(), Media: "image/jpeg", Data: b})
		}
	})
}

// A soundChild is a program that writes mono 16-bit little-endian samples.
type soundChild struct {
	name    string
	command []string
	options
}

func (c *soundChild) Run(ctx context.Context, give func(Frame)) error {
	w := newWindow(c.name, c.options)
	return runChild(ctx, c.command, func(r io.Reader) error {
		b := make([]byte, w.hop)
		for {
			n, err := io.ReadFull(r, b)
			w.feed(b[:n], give)
			if err != nil {
				return err
			}
		}
	})
}

// stopWait is how long a child has to end by itself when its output is no longer
// read.
const stopWait = 3 * time.Second

// runChild runs a program and reads its output until it ends. That it ended is an
// error, with the last words of its standard error.
func runChild(ctx context.Context, command []string, read func(io.Reader) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.WaitDelay = stopWait
	var words tail
	cmd.Stderr = &words
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("%s is not installed: %w", command[0], err)
		}
		return err
	}
	err = read(out)
	stop()
	ended := cmd.Wait()
	if said := words.last(); said != "" {
		return fmt.Errorf("%s: %s", command[0], said)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if ended == nil {
			ended = errors.New("its output ended")
		}
		return fmt.Errorf("%s: %w", command[0], ended)
	}
	return fmt.Errorf("%s: %w", command[0], err)
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

const tailBytes = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - tailBytes; n > 0 {
		t.b = append(t.b[:0], t.b[n:]...)
	}
	return len(p), nil
}

// last returns the last line.
func (t *tail) last() string {
	b := bytes.TrimSpace(t.b)
	return strings.ToValidUTF8(string(b[bytes.LastIndexByte(b, '\n')+1:]), "?")
}
