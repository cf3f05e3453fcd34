package senses

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// maxPicture bounds one JPEG file of a stream in bytes.
const maxPicture = 16 << 20

// Markers of JPEG (ITU-T T.81, table B.1).
const (
	soi  = 0xd8
	eoi  = 0xd9
	sos  = 0xda
	dht  = 0xc4
	rst0 = 0xd0
	rst7 = 0xd7
	tem  = 0x01
)

var errNoJPEG = errors.New("not a stream of JPEG pictures")

// readJPEG reads the next JPEG file of a stream of them. It goes by the segments'
// lengths, for a thumbnail in one of them has an end-of-image marker of its own.
// The error is io.EOF at the end of a stream that ends between two files.
func readJPEG(r *bufio.Reader) ([]byte, error) {
	var b []byte
	next := func() (byte, error) {
		c, err := r.ReadByte()
		if err == nil {
			b = append(b, c)
			if len(b) > maxPicture {
				err = fmt.Errorf("a picture has more than %d MiB", maxPicture>>20)
			}
		} else if errors.Is(err, io.EOF) && len(b) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return c, err
	}
	// Programs may put newlines between pictures.
	for {
		c, err := next()
		if err != nil {
			return nil, err
		}
		if c == 0xff {
			break
		}
		if c != '\n' && c != '\r' && c != 0 {
			return nil, errNoJPEG
		}
		b = b[:0]
	}
	if c, err := next(); err != nil || c != soi {
		return nil, errors.Join(errNoJPEG, err)
	}
	tables, start := false, 0
	for {
		c, err := next()
		if err != nil {
			return nil, err
		}
		if c != 0xff {
			return nil, errNoJPEG
		}
		for c == 0xff { // any number of fill bytes
			if c, err = next(); err != nil {
				return nil, err
			}
		}
	marker:
		switch {
		case c == eoi:
			if start > 0 && !tables {
				b = withTables(b, start)
			}
			return b, nil
		case c >= rst0 && c <= rst7, c == tem:
			continue
		case c == dht:
			tables = true
		case c == sos && start == 0:
			start = len(b) - 2
		}
		var length int
		for range 2 {
			l, err := next()
			if err != nil {
				return nil, err
			}
			length = length<<8 | int(l)
		}
		if length < 2 || len(b)+length > maxPicture {
			return nil, errNoJPEG
		}
		at := len(b)
		b = append(b, make([]byte, length-2)...)
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, fmt.Errorf("inside a picture: %w", err)
		}
		if c != sos {
			continue
		}
		// Coded data goes on to the next marker; 0xff 0x00 is a coded 0xff.
		for {
			if c, err = next(); err != nil {
				return nil, err
			}
			for c == 0xff {
				if c, err = next(); err != nil {
					return nil, err
				}
				if c != 0 && c != 0xff && (c < rst0 || c > rst7) {
					goto marker
				}
			}
		}
	}
}

// withTables adds the typical Huffman tables before the first scan. Cameras that
// send "motion JPEG" leave them out and mean these (AVI's MJPG; ITU-T T.81, K.3).
func withTables(b []byte, scan int) []byte {
	out := make([]byte, 0, len(b)+len(typicalTables))
	out = append(out, b[:scan]...)
	out = append(out, typicalTables...)
	return append(out, b[scan:]...)
}

// typicalTables is one DHT segment with the four tables of ITU-T T.81, K.3.
var typicalTables = func() []byte {
	seg := []byte{0xff, dht, 0, 0}
	for _, t := range []struct {
		class  byte
		counts string
		values string
	}{
		{0x00, dcLumaCounts, dcValues},
		{0x10, acLumaCounts, acLumaValues},
		{0x01, dcChromaCounts, dcValues},
		{0x11, acChromaCounts, acChromaValues},
	} {
		seg = append(seg, t.class)
		seg = append(seg, t.counts...)
		seg = append(seg, t.values...)
	}
	n := len(seg) - 2
	seg[2], seg[3] = byte(n>>8), byte(n)
	return seg
}()
