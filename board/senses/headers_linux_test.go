package senses

import (
	"bufio"
	"fmt"
	"os"
	"testing"
	"unsafe"
)

// The kernel's structures are as its headers say, on 64-bit and 32-bit machines:
// the figures come from a C compiler (testdata/headers.c).
func TestHeaders(t *testing.T) {
	var (
		caps v4l2Capability
		pix  v4l2PixFormat
		f    v4l2Format
		parm v4l2StreamParm
		reqs v4l2RequestBuffers
		buf  v4l2Buffer
		hw   sndHWParams
		x    sndXferI
	)
	ours := map[string]uint64{
		"v4l2_capability":                                     uint64(unsafe.Sizeof(caps)),
		"v4l2_capability.capabilities":                        uint64(unsafe.Offsetof(caps.capabilities)),
		"v4l2_capability.device_caps":                         uint64(unsafe.Offsetof(caps.deviceCaps)),
		"v4l2_pix_format":                                     uint64(unsafe.Sizeof(pix)),
		"v4l2_pix_format.pixelformat":                         uint64(unsafe.Offsetof(pix.pixelFormat)),
		"v4l2_pix_format.bytesperline":                        uint64(unsafe.Offsetof(pix.bytesPerLine)),
		"v4l2_pix_format.quantization":                        uint64(unsafe.Offsetof(pix.quantization)),
		"v4l2_format":                                         uint64(unsafe.Sizeof(f)),
		"v4l2_format.fmt":                                     uint64(unsafe.Offsetof(f.pix)),
		"v4l2_streamparm":                                     uint64(unsafe.Sizeof(parm)),
		"v4l2_streamparm.parm.capture.timeperframe.numerator": uint64(unsafe.Offsetof(parm.numerator)),
		"v4l2_requestbuffers":                                 uint64(unsafe.Sizeof(reqs)),
		"v4l2_requestbuffers.memory":                          uint64(unsafe.Offsetof(reqs.memory)),
		"v4l2_buffer":                                         uint64(unsafe.Sizeof(buf)),
		"v4l2_buffer.bytesused":                               uint64(unsafe.Offsetof(buf.bytesUsed)),
		"v4l2_buffer.flags":                                   uint64(unsafe.Offsetof(buf.flags)),
		"v4l2_buffer.timestamp":                               uint64(unsafe.Offsetof(buf.timestamp)),
		"v4l2_buffer.timecode":                                uint64(unsafe.Offsetof(buf.timecode)),
		"v4l2_buffer.memory":                                  uint64(unsafe.Offsetof(buf.memory)),
		"v4l2_buffer.m":                                       uint64(unsafe.Offsetof(buf.offset)),
		"v4l2_buffer.length":                                  uint64(unsafe.Offsetof(buf.length)),
		"VIDIOC_QUERYCAP":                                     uint64(vidiocQueryCap),
		"VIDIOC_S_FMT":                                        uint64(vidiocSetFormat),
		"VIDIOC_REQBUFS":                                      uint64(vidiocReqBufs),
		"VIDIOC_QUERYBUF":                                     uint64(vidiocQueryBuf),
		"VIDIOC_QBUF":                                         uint64(vidiocQBuf),
		"VIDIOC_DQBUF":                                        uint64(vidiocDQBuf),
		"VIDIOC_STREAMON":                                     uint64(vidiocStreamOn),
		"VIDIOC_STREAMOFF":                                    uint64(vidiocStreamOff),
		"VIDIOC_S_PARM":                                       uint64(vidiocSetParm),
		"V4L2_BUF_TYPE_VIDEO_CAPTURE":                         v4l2Capture,
		"V4L2_MEMORY_MMAP":                                    v4l2Mmap,
		"V4L2_QUANTIZATION_FULL_RANGE":                        v4l2FullRange,
		"V4L2_CAP_VIDEO_CAPTURE":                              capCapture,
		"V4L2_CAP_STREAMING":                                  capStreaming,
		"V4L2_CAP_DEVICE_CAPS":                                capDeviceCaps,
		"V4L2_BUF_FLAG_ERROR":                                 bufFlagError,
		"V4L2_PIX_FMT_MJPEG":                                  fourccMJPEG,
		"V4L2_PIX_FMT_JPEG":                                   fourccJPEG,
		"V4L2_PIX_FMT_YUYV":                                   fourccYUYV,
		"snd_interval":                                        uint64(unsafe.Sizeof(sndInterval{})),
		"snd_mask":                                            uint64(unsafe.Sizeof(sndMask{})),
		"snd_pcm_hw_params":                                   uint64(unsafe.Sizeof(hw)),
		"snd_pcm_hw_params.masks":                             uint64(unsafe.Offsetof(hw.masks)),
		"snd_pcm_hw_params.intervals":                         uint64(unsafe.Offsetof(hw.intervals)),
		"snd_pcm_hw_params.rmask":                             uint64(unsafe.Offsetof(hw.rmask)),
		"snd_pcm_hw_params.info":                              uint64(unsafe.Offsetof(hw.info)),
		"snd_pcm_hw_params.fifo_size":                         uint64(unsafe.Offsetof(hw.fifoSize)),
		"snd_xferi":                                           uint64(unsafe.Sizeof(x)),
		"snd_xferi.buf":                                       uint64(unsafe.Offsetof(x.buf)),
		"snd_xferi.frames":                                    uint64(unsafe.Offsetof(x.frames)),
		"SNDRV_PCM_IOCTL_HW_PARAMS":                           uint64(sndHWParamsRequest),
		"SNDRV_PCM_IOCTL_PREPARE":                             uint64(sndPrepare),
		"SNDRV_PCM_IOCTL_READI_FRAMES":                        uint64(sndReadI),
		"SNDRV_PCM_HW_PARAM_ACCESS":                           sndAccess,
		"SNDRV_PCM_HW_PARAM_FORMAT":                           sndFormat,
		"SNDRV_PCM_HW_PARAM_SUBFORMAT":                        sndSubformat,
		"SNDRV_PCM_HW_PARAM_FIRST_INTERVAL":                   firstInterval,
		"SNDRV_PCM_HW_PARAM_CHANNELS":                         firstInterval + sndChannels,
		"SNDRV_PCM_HW_PARAM_RATE":                             firstInterval + sndRate,
		"SNDRV_PCM_HW_PARAM_PERIOD_SIZE":                      firstInterval + sndPeriodSize,
		"SNDRV_PCM_HW_PARAM_PERIODS":                          firstInterval + sndPeriods,
		"SNDRV_PCM_ACCESS_RW_INTERLEAVED":                     sndInterleaved,
		"SNDRV_PCM_FORMAT_S16_LE":                             sndS16LE,
		"SNDRV_PCM_SUBFORMAT_STD":                             sndStandard,
	}
	g, err := os.Open(fmt.Sprintf("testdata/headers%d.txt", 8*unsafe.Sizeof(uintptr(0))))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	n := 0
	for s := bufio.NewScanner(g); s.Scan(); n++ {
		var name string
		var want uint64
		if _, err := fmt.Sscan(s.Text(), &name, &want); err != nil {
			t.Fatal(err)
		}
		if got, ok := ours[name]; !ok || got != want {
			t.Errorf("%s: %d, the kernel has %d", name, got, want)
		}
	}
	if n != len(ours) {
		t.Errorf("%d figures of the kernel for %d of ours", n, len(ours))
	}
}
