package senses

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Structures and numbers of linux/videodev2.h. A test compares sizes, offsets and
// request numbers with what a C compiler makes of that header.
type (
	v4l2Capability struct {
		driver       [16]byte
		card         [32]byte
		busInfo      [32]byte
		version      uint32
		capabilities uint32
		deviceCaps   uint32
		_            [3]uint32
	}
	v4l2PixFormat struct {
		width, height, pixelFormat, field, bytesPerLine, sizeImage, colorspace uint32
		priv, flags, encoding, quantization, transfer                          uint32
	}
	v4l2Format struct {
		typ uint32
		_   [0]uintptr // the union has pointers, too
		pix v4l2PixFormat
		_   [200 - unsafe.Sizeof(v4l2PixFormat{})]byte
	}
	v4l2StreamParm struct {
		typ                      uint32
		capability, captureMode  uint32
		numerator, denominator   uint32 // of the seconds that a frame takes
		extendedMode, readBuffer uint32
		_                        [200 - 6*4]byte
	}
	v4l2RequestBuffers struct {
		count, typ, memory, capabilities uint32
		flags                            uint8
		_                                [3]uint8
	}
	v4l2Buffer struct {
		index, typ, bytesUsed, flags, field uint32
		timestamp                           [2]uintptr // long, also where time_t has 64 bits
		timecode                            [4]uint32
		sequence, memory                    uint32
		offset                              uintptr // a union; the low half of it on 64-bit machines
		length, _, _                        uint32
	}
)

var (
	vidiocQueryCap  = ioc(iocRead, 'V', 0, unsafe.Sizeof(v4l2Capability{}))
	vidiocSetFormat = ioc(iocRead|iocWrite, 'V', 5, unsafe.Sizeof(v4l2Format{}))
	vidiocReqBufs   = ioc(iocRead|iocWrite, 'V', 8, unsafe.Sizeof(v4l2RequestBuffers{}))
	vidiocQueryBuf  = ioc(iocRead|iocWrite, 'V', 9, unsafe.Sizeof(v4l2Buffer{}))
	vidiocQBuf      = ioc(iocRead|iocWrite, 'V', 15, unsafe.Sizeof(v4l2Buffer{}))
	vidiocDQBuf     = ioc(iocRead|iocWrite, 'V', 17, unsafe.Sizeof(v4l2Buffer{}))
	vidiocStreamOn  = ioc(iocWrite, 'V', 18, 4)
	vidiocStreamOff = ioc(iocWrite, 'V', 19, 4)
	vidiocSetParm   = ioc(iocRead|iocWrite, 'V', 22, unsafe.Sizeof(v4l2StreamParm{}))
)

const (
	v4l2Capture    = 1          // V4L2_BUF_TYPE_VIDEO_CAPTURE
	v4l2Mmap       = 1          // V4L2_MEMORY_MMAP
	v4l2FieldAny   = 0          // V4L2_FIELD_ANY
	v4l2FullRange  = 1          // V4L2_QUANTIZATION_FULL_RANGE
	capCapture     = 0x1        // V4L2_CAP_VIDEO_CAPTURE
	capStreaming   = 0x04000000 // V4L2_CAP_STREAMING
	capDeviceCaps  = 0x80000000 // V4L2_CAP_DEVICE_CAPS
	bufFlagError   = 0x40       // V4L2_BUF_FLAG_ERROR
	fourccMJPEG    = 'M' | 'J'<<8 | 'P'<<16 | 'G'<<24
	fourccJPEG     = 'J' | 'P'<<8 | 'E'<<16 | 'G'<<24
	fourccYUYV     = 'Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24
	cameraBuffers  = 4
	mostBadFrames  = 30 // in a row
	cameraJPEGgood = 90 // quality of pictures that the camera has not coded itself
)

// A camera is a V4L2 device that gives motion JPEG or YUYV, as USB cameras do.
type camera struct {
	name, path string
	options
	open func(path string) (device, error)
}

func newCamera(name, path string, o options) (Source, error) {
	path, err := devicePath(name, path, "/dev/video*")
	if err != nil {
		return nil, err
	}
	return &camera{name: name, path: path, options: o, open: openDevice}, nil
}

// devicePath returns the device that was named, else the first one that there is.
func devicePath(name, path, pattern string) (string, error) {
	if path != "" {
		return path, nil
	}
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		return "", specErrorf("%s there is no %s on this board", name, pattern)
	}
	return found[0], nil
}

func (c *camera) Run(ctx context.Context, give func(Frame)) (err error) {
	d, err := c.open(c.path)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.close())
		if err != nil {
			err = fmt.Errorf("%s: %w", c.path, err)
		}
	}()
	pix, err := c.setUp(d)
	if err != nil {
		return err
	}
	buffers, release, err := mapBuffers(d)
	defer func() { err = errors.Join(err, release()) }()
	if err != nil {
		return err
	}
	on := int32(v4l2Capture)
	if err := d.ioctl(vidiocStreamOn, unsafe.Pointer(&on)); err != nil {
		return fmt.Errorf("starting the stream: %w", err)
	}
	// What cannot be stopped is stopped by closing the file.
	defer func() { _ = d.ioctl(vidiocStreamOff, unsafe.Pointer(&on)) }()
	var seq uint64
	bad := 0
	for {
		if err := d.wait(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		buf := v4l2Buffer{typ: v4l2Capture, memory: v4l2Mmap}
		if err := d.ioctl(vidiocDQBuf, unsafe.Pointer(&buf)); errors.Is(err, unix.EAGAIN) {
			continue
		} else if err != nil {
			return fmt.Errorf("taking a picture: %w", err)
		}
		if int(buf.index) >= len(buffers) || uint64(buf.bytesUsed) > uint64(len(buffers[buf.index])) {
			return fmt.Errorf("the driver speaks of buffer %d with %d bytes", buf.index, buf.bytesUsed)
		}
		seq++
		data, decodeErr := pix.picture(buffers[buf.index][:buf.bytesUsed])
		if decodeErr == nil && buf.flags&bufFlagError == 0 {
			bad = 0
			give(Frame{Source: c.name, Seq: seq, Time: time.Now(), Media: "image/jpeg", Data: data})
		} else if bad++; bad >= mostBadFrames {
			return fmt.Errorf("%d pictures in a row are broken: %w", bad, errors.Join(decodeErr, errBroken))
		}
		if err := d.ioctl(vidiocQBuf, unsafe.Pointer(&buf)); err != nil {
			return fmt.Errorf("giving a buffer back: %w", err)
		}
	}
}

var errBroken = errors.New("the cable or the power may be weak")

// setUp chooses the form of the pictures.
func (c *camera) setUp(d device) (*v4l2PixFormat, error) {
	var caps v4l2Capability
	if err := d.ioctl(vidiocQueryCap, unsafe.Pointer(&caps)); err != nil {
		return nil, fmt.Errorf("not a camera: %w", err)
	}
	can := caps.capabilities
	if can&capDeviceCaps != 0 {
		can = caps.deviceCaps // of this file; a camera has others for its metadata
	}
	if can&capCapture == 0 || can&capStreaming == 0 {
		return nil, errors.New("gives no pictures: a camera's first device often does")
	}
	for _, want := range []uint32{fourccMJPEG, fourccYUYV} {
		f := v4l2Format{typ: v4l2Capture, pix: v4l2PixFormat{
			width: uint32(c.width), height: uint32(c.height), pixelFormat: want, field: v4l2FieldAny,
		}}
		if err := d.ioctl(vidiocSetFormat, unsafe.Pointer(&f)); err != nil && !errors.Is(err, unix.EINVAL) {
			return nil, fmt.Errorf("choosing a format: %w", err)
		} else if err == nil && f.pix.known() {
			// The driver may have chosen another size, and may not care for the rate.
			p := v4l2StreamParm{typ: v4l2Capture, numerator: 1, denominator: uint32(c.fps)}
			_ = d.ioctl(vidiocSetParm, unsafe.Pointer(&p))
			return &f.pix, nil
		}
	}
	return nil, errors.New("gives neither motion JPEG nor YUYV: for a camera of a Raspberry Pi use rpicam:")
}

func mapBuffers(d device) (buffers [][]byte, release func() error, err error) {
	release = func() (err error) {
		for _, b := range buffers {
			err = errors.Join(err, d.munmap(b))
		}
		return err
	}
	req := v4l2RequestBuffers{count: cameraBuffers, typ: v4l2Capture, memory: v4l2Mmap}
	if err := d.ioctl(vidiocReqBufs, unsafe.Pointer(&req)); err != nil {
		return nil, release, fmt.Errorf("asking for buffers: %w", err)
	}
	if req.count < 2 {
		return nil, release, fmt.Errorf("the driver has memory for %d buffers only", req.count)
	}
	for i := range min(req.count, cameraBuffers) {
		buf := v4l2Buffer{index: i, typ: v4l2Capture, memory: v4l2Mmap}
		if err := d.ioctl(vidiocQueryBuf, unsafe.Pointer(&buf)); err != nil {
			return buffers, release, fmt.Errorf("asking for buffer %d: %w", i, err)
		}
		b, err := d.mmap(int64(uint32(buf.offset)), int(buf.length))
		if err != nil {
			return buffers, release, fmt.Errorf("mapping buffer %d: %w", i, err)
		}
		buffers = append(buffers, b)
		if err := d.ioctl(vidiocQBuf, unsafe.Pointer(&buf)); err != nil {
			return buffers, release, fmt.Errorf("giving buffer %d: %w", i, err)
		}
	}
	return buffers, release, nil
}

func (p *v4l2PixFormat) known() bool {
	return p.pixelFormat == fourccMJPEG || p.pixelFormat == fourccJPEG || p.pixelFormat == fourccYUYV && p.width%2 == 0
}

// picture returns what is in a buffer as a JPEG file of its own.
func (p *v4l2PixFormat) picture(b []byte) ([]byte, error) {
	if p.pixelFormat != fourccYUYV {
		return readJPEG(bufio.NewReader(bytes.NewReader(b)))
	}
	img, err := p.yuyv(b)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = jpeg.Encode(&out, img, &jpeg.Options{Quality: cameraJPEGgood})
	return out.Bytes(), err
}

// yuyv takes luma and chroma apart. Unless the driver says otherwise they have the
// narrow range of video (ITU-R BT.601: luma 16 to 235, chroma 16 to 240), which is
// widened to JPEG's.
func (p *v4l2PixFormat) yuyv(b []byte) (*image.YCbCr, error) {
	w, h, stride := int(p.width), int(p.height), int(p.bytesPerLine)
	if w == 0 || h == 0 || stride < 2*w || len(b) < (h-1)*stride+2*w {
		return nil, fmt.Errorf("a picture of %d x %d has %d bytes", w, h, len(b))
	}
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio422)
	luma, chroma := &wideLuma, &wideChroma
	if p.quantization == v4l2FullRange {
		luma, chroma = &identity, &identity
	}
	for y := range h {
		row := b[y*stride:][:2*w]
		yy, cb, cr := img.Y[y*img.YStride:], img.Cb[y*img.CStride:], img.Cr[y*img.CStride:]
		for i := 0; i < w/2; i++ {
			q := row[4*i : 4*i+4]
			yy[2*i], cb[i], yy[2*i+1], cr[i] = luma[q[0]], chroma[q[1]], luma[q[2]], chroma[q[3]]
		}
	}
	return img, nil
}

var identity, wideLuma, wideChroma = func() (id, l, c [256]byte) {
	widen := func(v, zero, at, span int) byte {
		n := (v - zero) * 255
		if n < 0 {
			n -= span / 2
		} else {
			n += span / 2
		}
		return byte(min(max(at+n/span, 0), 255))
	}
	for v := range 256 {
		id[v], l[v], c[v] = byte(v), widen(v, 16, 0, 219), widen(v, 128, 128, 224)
	}
	return id, l, c
}()
