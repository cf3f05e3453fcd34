package senses

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fakeCamera is the kernel's side of a USB camera: a picture each period goes into
// the oldest buffer that it was given, and is lost if there is none.
type fakeCamera struct {
	t       *testing.T
	formats []uint32
	period  time.Duration
	fill    func(n int, p v4l2PixFormat) []byte // the n-th picture
	unplug  int                                 // pictures until it is gone; 0: never

	pix      v4l2PixFormat
	memory   [][]byte
	queued   []uint32
	started  time.Time
	made     int
	closed   bool
	stopped  bool
	unmapped int
}

func (f *fakeCamera) open(string) (device, error) { return f, nil }

func (f *fakeCamera) ioctl(request uint32, arg unsafe.Pointer) error {
	switch request {
	case vidiocQueryCap:
		c := (*v4l2Capability)(arg)
		// The device as a whole also gives metadata, this file only pictures.
		c.capabilities, c.deviceCaps = capDeviceCaps|0x00800000, capCapture|capStreaming
	case vidiocSetFormat:
		p := &(*v4l2Format)(arg).pix
		if !slices.Contains(f.formats, p.pixelFormat) {
			p.pixelFormat = f.formats[0] // drivers choose what is near rather than refuse
		}
		p.bytesPerLine = 2*p.width + 32
		f.pix = *p
	case vidiocSetParm:
		p := (*v4l2StreamParm)(arg)
		f.period = time.Second * time.Duration(p.numerator) / time.Duration(p.denominator)
	case vidiocReqBufs:
		(*v4l2RequestBuffers)(arg).count = 3
		for range 3 {
			f.memory = append(f.memory, make([]byte, 1<<20))
		}
	case vidiocQueryBuf:
		b := (*v4l2Buffer)(arg)
		b.offset, b.length = uintptr(b.index)<<20, 1<<20
	case vidiocQBuf:
		f.queued = append(f.queued, (*v4l2Buffer)(arg).index)
	case vidiocStreamOn:
		f.started = time.Now()
	case vidiocStreamOff:
		f.stopped = true
	case vidiocDQBuf:
		if f.unplug > 0 && f.made >= f.unplug {
			return unix.ENODEV
		}
		b := (*v4l2Buffer)(arg)
		data := f.fill(f.made, f.pix)
		f.made++
		b.index, f.queued = f.queued[0], f.queued[1:]
		b.bytesUsed = uint32(copy(f.memory[b.index], data))
	default:
		f.t.Errorf("unknown request %#x", request)
	}
	return nil
}

func (f *fakeCamera) mmap(offset int64, length int) ([]byte, error) {
	return f.memory[offset>>20][:length], nil
}
func (f *fakeCamera) munmap([]byte) error { f.unmapped++; return nil }
func (f *fakeCamera) close() error        { f.closed = true; return nil }

func (f *fakeCamera) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(f.started.Add(f.period * time.Duration(f.made+1)))):
		return nil
	}
}

func testJPEG(t testing.TB, n int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, 32, 16))
	for i := range img.Pix {
		img.Pix[i] = byte(i*7 + n*31)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A camera at 30 pictures a second and a model that takes 80 ms: what the model
// sees is never older than one picture and one run, and the rest is dropped.
func TestCameraFasterThanModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam := &fakeCamera{t: t, formats: []uint32{fourccMJPEG}, fill: func(n int, _ v4l2PixFormat) []byte { return testJPEG(t, n) }}
		c := &camera{name: "camera:", path: "fake", options: options{width: 32, height: 16, fps: 30}, open: cam.open}
		ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
		defer stop()
		var q Latest
		var wg sync.WaitGroup
		wg.Go(func() {
			defer q.Close()
			if err := c.Run(ctx, q.Put); err != nil {
				t.Error(err)
			}
		})
		const run = 80 * time.Millisecond
		var seen, last uint64
		var late []time.Duration
		for {
			f, ok := q.Next(ctx)
			if !ok {
				break
			}
			time.Sleep(run)
			late = append(late, time.Since(f.Time))
			if f.Seq <= last {
				t.Fatalf("frame %d after %d", f.Seq, last)
			}
			seen, last = seen+1, f.Seq
		}
		wg.Wait()
		slices.Sort(late)
		p99 := late[len(late)*99/100]
		if period := time.Second / 30; p99 > run+period {
			t.Errorf("p99 from picture to answer is %v, more than a run and a period", p99)
		}
		if seen < 700 || seen+q.Dropped() < 1790 {
			t.Errorf("%d seen, %d dropped of about 1800", seen, q.Dropped())
		}
		if !cam.stopped || !cam.closed || cam.unmapped != 3 {
			t.Errorf("stopped %v, closed %v, %d buffers unmapped", cam.stopped, cam.closed, cam.unmapped)
		}
	})
}

func TestCameraUnplugged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam := &fakeCamera{t: t, formats: []uint32{fourccMJPEG}, unplug: 5, fill: func(n int, _ v4l2PixFormat) []byte { return testJPEG(t, n) }}
		c := &camera{path: "/dev/video7", options: defaults(), open: cam.open}
		n := 0
		err := c.Run(t.Context(), func(Frame) { n++ })
		if !errors.Is(err, unix.ENODEV) || n != 5 {
			t.Errorf("%d frames, then %v", n, err)
		}
	})
}

// A broken picture is left out, a cable that breaks all of them is an error.
func TestCameraBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam := &fakeCamera{t: t, formats: []uint32{fourccMJPEG}, fill: func(n int, _ v4l2PixFormat) []byte {
			b := testJPEG(t, n)
			if n == 1 || n > 3 {
				b = b[:len(b)/2]
			}
			return b
		}}
		c := &camera{path: "fake", options: defaults(), open: cam.open}
		var seqs []uint64
		err := c.Run(t.Context(), func(f Frame) { seqs = append(seqs, f.Seq) })
		if !errors.Is(err, errBroken) || !slices.Equal(seqs, []uint64{1, 3, 4}) {
			t.Errorf("frames %v, then %v", seqs, err)
		}
	})
}

// YUYV in the narrow range of video comes out with JPEG's full range.
func TestCameraYUYV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cam := &fakeCamera{t: t, formats: []uint32{fourccYUYV}, unplug: 1, fill: func(_ int, p v4l2PixFormat) []byte {
			b := make([]byte, p.height*p.bytesPerLine)
			for y := range int(p.height) {
				for x := range int(p.width) {
					i := y*int(p.bytesPerLine) + 2*x
					b[i], b[i+1] = 16, 128 // black
					if x >= int(p.width)/2 {
						b[i] = 235 // white
					}
				}
			}
			return b
		}}
		c := &camera{path: "fake", options: options{width: 64, height: 32, fps: 10}, open: cam.open}
		var got Frame
		if err := c.Run(t.Context(), func(f Frame) { got = f }); !errors.Is(err, unix.ENODEV) {
			t.Fatal(err)
		}
		img, err := jpeg.Decode(bytes.NewReader(got.Data))
		if err != nil {
			t.Fatal(err)
		}
		for x, want := range map[int]uint8{3: 0, 60: 255} {
			if g := color.GrayModel.Convert(img.At(x, 16)).(color.Gray).Y; max(g, want)-min(g, want) > 3 {
				t.Errorf("pixel %d is %d, want %d", x, g, want)
			}
		}
	})
}

func TestOpenErrorsSayTheMend(t *testing.T) {
	for err, want := range map[error]string{unix.EACCES: "groups video and audio", unix.EBUSY: "another program", unix.ENOENT: "plugged in"} {
		e := openError("/dev/video0", err)
		var pe *fs.PathError
		if !bytes.Contains([]byte(e.Error()), []byte(want)) || !errors.As(e, &pe) {
			t.Errorf("%v: %v", err, e)
		}
	}
}

// fakeMicrophone gives a stereo ramp at 48 kHz, whatever is asked for.
type fakeMicrophone struct {
	fakeCamera
	set   sndHWParams
	n     int
	lost  int // at which read samples were lost
	reads int
	ready int // times that it was prepared
}

func (f *fakeMicrophone) ioctl(request uint32, arg unsafe.Pointer) error {
	switch request {
	case sndHWParamsRequest:
		p := (*sndHWParams)(arg)
		if p.intervals[sndRate].min != 48000 || p.intervals[sndChannels].min != 2 {
			return unix.EINVAL
		}
		if p.masks[sndFormat][0] != 1<<sndS16LE || p.masks[sndAccess][0] != 1<<sndInterleaved {
			f.t.Errorf("masks %x", p.masks)
		}
		p.intervals[sndPeriodSize].min = 1024
		p.intervals[sndPeriodSize].max = 1024
		f.set = *p
	case sndPrepare:
		f.ready++
	case sndReadI:
		f.reads++
		if f.reads == f.lost {
			return unix.EPIPE
		}
		if f.reads > 200 {
			return unix.ENODEV
		}
		x := (*sndXferI)(arg)
		b := unsafe.Slice((*int16)(x.buf), 2*x.frames)
		for i := range int(x.frames) {
			b[2*i], b[2*i+1] = int16(f.n%1000), int16(f.n%1000+2)
			f.n++
		}
		x.result = int(x.frames)
	}
	return nil
}

func (f *fakeMicrophone) wait(context.Context) error { return nil }

func TestMicrophone(t *testing.T) {
	mic := &fakeMicrophone{lost: 70, fakeCamera: fakeCamera{t: t}}
	m := &microphone{path: "fake", options: defaults(), open: func(string) (device, error) { return mic, nil }}
	var frames []Frame
	err := m.Run(t.Context(), func(f Frame) { frames = append(frames, f) })
	if !errors.Is(err, unix.ENODEV) {
		t.Fatal(err)
	}
	// 69 periods, then 130: (69*1024-48000)/24000+1 and (130*1024-48000)/24000+1 windows.
	if len(frames) != 1+4 || mic.ready != 2 {
		t.Fatalf("%d windows, prepared %d times", len(frames), mic.ready)
	}
	for _, f := range frames {
		if len(f.Data) != 44+2*48000 || string(f.Data[:4]) != "RIFF" {
			t.Fatalf("%d bytes", len(f.Data))
		}
		// Both channels are mixed, and no window holds a jump.
		at := func(i int) int { return int(int16(uint16(f.Data[44+2*i]) | uint16(f.Data[45+2*i])<<8)) }
		for i := 1; i < 48000; i++ {
			if (at(i)-at(i-1)+1000)%1000 != 1 {
				t.Fatalf("window %d: sample %d is %d after %d", f.Seq, i, at(i), at(i-1))
			}
		}
	}
}
