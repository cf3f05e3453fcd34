package senses

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Structures and numbers of sound/asound.h; a test compares them with the header.
type (
	sndInterval struct {
		min, max uint32
		flags    uint32 // openmin 1, openmax 2, integer 4, empty 8
	}
	sndMask     [8]uint32
	sndHWParams struct {
		flags     uint32
		masks     [3]sndMask
		_         [5]sndMask
		intervals [12]sndInterval
		_         [9]sndInterval
		rmask     uint32
		cmask     uint32
		info      uint32
		msbits    uint32
		rateNum   uint32
		rateDen   uint32
		fifoSize  uintptr
		_         [64]byte
	}
	sndXferI struct {
		result int
		buf    unsafe.Pointer
		frames uint
	}
)

var (
	sndHWParamsRequest = ioc(iocRead|iocWrite, 'A', 0x11, unsafe.Sizeof(sndHWParams{}))
	sndPrepare         = ioc(iocNone, 'A', 0x40, 0)
	sndReadI           = ioc(iocRead, 'A', 0x51, unsafe.Sizeof(sndXferI{}))
)

// Indices of masks and intervals, and values of masks.
const (
	sndAccess, sndFormat, sndSubformat = 0, 1, 2
	firstInterval                      = 8
	sndChannels                        = 10 - firstInterval
	sndRate                            = 11 - firstInterval
	sndPeriodSize                      = 13 - firstInterval
	sndPeriods                         = 15 - firstInterval

	sndInterleaved = 3
	sndS16LE       = 2
	sndStandard    = 0

	microphonePeriods = 8
)

// A microphone is an ALSA capture device. It is read without alsa-lib, so there is
// no resampling by plug-ins: the WAV files say at which rate the device works.
type microphone struct {
	name, path string
	options
	open func(path string) (device, error)
}

func newMicrophone(name, path string, o options) (Source, error) {
	if hw, ok := strings.CutPrefix(path, "hw:"); ok {
		card, dev, _ := strings.Cut(hw, ",")
		if dev == "" {
			dev = "0"
		}
		path = "/dev/snd/pcmC" + card + "D" + dev + "c"
	}
	path, err := devicePath(name, path, "/dev/snd/pcmC*D*c")
	if err != nil {
		return nil, err
	}
	return &microphone{name: name, path: path, options: o, open: openDevice}, nil
}

func (m *microphone) Run(ctx context.Context, give func(Frame)) (err error) {
	d, err := m.open(m.path)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.close())
		if err != nil {
			err = fmt.Errorf("%s: %w", m.path, err)
		}
	}()
	set, err := m.setUp(d)
	if err != nil {
		return err
	}
	o := m.options
	o.rate = set.rate
	w := newWindow(m.name, o)
	buf := make([]int16, set.period*set.channels)
	for started := false; ; {
		if started { // the first read starts the device
			if err := d.wait(ctx); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		x := sndXferI{buf: unsafe.Pointer(&buf[0]), frames: uint(set.period)}
		err := d.ioctl(sndReadI, unsafe.Pointer(&x))
		started = true
		switch {
		case errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.EPIPE):
			// We were too slow and samples are lost. What was heard before is cut off:
			// a window must not hold a jump.
			w.buf = w.buf[:0]
			if err := d.ioctl(sndPrepare, nil); err != nil {
				return fmt.Errorf("starting again after lost samples: %w", err)
			}
			started = false
			continue
		case err != nil:
			return fmt.Errorf("reading: %w", err)
		case x.result < 0 || x.result > set.period:
			return fmt.Errorf("the driver speaks of %d samples", x.result)
		}
		w.feed(mono(buf[:x.result*set.channels], set.channels), give)
	}
}

// mono mixes channels, and returns the samples' bytes in little-endian order.
func mono(samples []int16, channels int) []byte {
	b := make([]byte, 0, 2*len(samples)/channels)
	for i := 0; i < len(samples); i += channels {
		sum := 0
		for _, s := range samples[i : i+channels] {
			sum += int(s)
		}
		v := sum / channels
		b = append(b, byte(v), byte(v>>8))
	}
	return b
}

type soundSettings struct{ rate, channels, period int }

// setUp asks for one channel at the rate that is wanted, then for what nearly every
// device has.
func (m *microphone) setUp(d device) (soundSettings, error) {
	var first error
	for _, rate := range []int{m.rate, 48000, 44100} {
		for _, channels := range []int{1, 2} {
			set := soundSettings{rate: rate, channels: channels, period: rate / 50}
			err := set.apply(d)
			if err == nil {
				return set, nil
			}
			if !errors.Is(err, unix.EINVAL) {
				return set, fmt.Errorf("not a microphone: %w", err)
			}
			if first == nil {
				first = err
			}
		}
	}
	return soundSettings{}, fmt.Errorf("records neither one nor two channels of 16 bits at %d, 48000 or 44100 samples a second: %w", m.rate, first)
}

func (s *soundSettings) apply(d device) error {
	p := sndHWParams{rmask: ^uint32(0), info: ^uint32(0)}
	for i := range p.masks {
		for j := range p.masks[i] {
			p.masks[i][j] = ^uint32(0)
		}
	}
	for i := range p.intervals {
		p.intervals[i].max = ^uint32(0)
	}
	for mask, bit := range map[int]uint32{sndAccess: sndInterleaved, sndFormat: sndS16LE, sndSubformat: sndStandard} {
		p.masks[mask] = sndMask{1 << bit}
	}
	exactly := func(i, v int) { p.intervals[i] = sndInterval{uint32(v), uint32(v), 4} }
	exactly(sndChannels, s.channels)
	exactly(sndRate, s.rate)
	// A period of about 20 ms, as the device can.
	p.intervals[sndPeriodSize] = sndInterval{uint32(s.period / 2), uint32(2 * s.period), 4}
	p.intervals[sndPeriods] = sndInterval{2, microphonePeriods, 4}
	if err := d.ioctl(sndHWParamsRequest, unsafe.Pointer(&p)); err != nil {
		return err
	}
	if n := int(p.intervals[sndPeriodSize].min); n > 0 && n <= 2*s.period {
		s.period = n
	}
	return d.ioctl(sndPrepare, nil)
}
