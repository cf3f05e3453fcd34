// Prints the sizes, offsets and request numbers of the kernel's interfaces to
// cameras and microphones, which headers_test.go compares with the Go types:
//
//	cc headers.c -o headers && ./headers >headers64.txt
//	arm-linux-gnueabihf-gcc -static headers.c -o headers && qemu-arm-static headers >headers32.txt
#include <linux/videodev2.h>
#include <sound/asound.h>
#include <stddef.h>
#include <stdio.h>

#define SIZE(t) printf("%s %zu\n", #t, sizeof(struct t))
#define AT(t, f) printf("%s.%s %zu\n", #t, #f, offsetof(struct t, f))
#define NUMBER(n) printf("%s %u\n", #n, (unsigned)(n))

int main(void)
{
	SIZE(v4l2_capability);
	AT(v4l2_capability, capabilities);
	AT(v4l2_capability, device_caps);
	SIZE(v4l2_pix_format);
	AT(v4l2_pix_format, pixelformat);
	AT(v4l2_pix_format, bytesperline);
	AT(v4l2_pix_format, quantization);
	SIZE(v4l2_format);
	AT(v4l2_format, fmt);
	SIZE(v4l2_streamparm);
	AT(v4l2_streamparm, parm.capture.timeperframe.numerator);
	SIZE(v4l2_requestbuffers);
	AT(v4l2_requestbuffers, memory);
	SIZE(v4l2_buffer);
	AT(v4l2_buffer, bytesused);
	AT(v4l2_buffer, flags);
	AT(v4l2_buffer, timestamp);
	AT(v4l2_buffer, timecode);
	AT(v4l2_buffer, memory);
	AT(v4l2_buffer, m);
	AT(v4l2_buffer, length);
	NUMBER(VIDIOC_QUERYCAP);
	NUMBER(VIDIOC_S_FMT);
	NUMBER(VIDIOC_REQBUFS);
	NUMBER(VIDIOC_QUERYBUF);
	NUMBER(VIDIOC_QBUF);
	NUMBER(VIDIOC_DQBUF);
	NUMBER(VIDIOC_STREAMON);
	NUMBER(VIDIOC_STREAMOFF);
	NUMBER(VIDIOC_S_PARM);
	NUMBER(V4L2_BUF_TYPE_VIDEO_CAPTURE);
	NUMBER(V4L2_MEMORY_MMAP);
	NUMBER(V4L2_QUANTIZATION_FULL_RANGE);
	NUMBER(V4L2_CAP_VIDEO_CAPTURE);
	NUMBER(V4L2_CAP_STREAMING);
	NUMBER(V4L2_CAP_DEVICE_CAPS);
	NUMBER(V4L2_BUF_FLAG_ERROR);
	NUMBER(V4L2_PIX_FMT_MJPEG);
	NUMBER(V4L2_PIX_FMT_JPEG);
	NUMBER(V4L2_PIX_FMT_YUYV);
	SIZE(snd_interval);
	SIZE(snd_mask);
	SIZE(snd_pcm_hw_params);
	AT(snd_pcm_hw_params, masks);
	AT(snd_pcm_hw_params, intervals);
	AT(snd_pcm_hw_params, rmask);
	AT(snd_pcm_hw_params, info);
	AT(snd_pcm_hw_params, fifo_size);
	SIZE(snd_xferi);
	AT(snd_xferi, buf);
	AT(snd_xferi, frames);
	NUMBER(SNDRV_PCM_IOCTL_HW_PARAMS);
	NUMBER(SNDRV_PCM_IOCTL_PREPARE);
	NUMBER(SNDRV_PCM_IOCTL_READI_FRAMES);
	NUMBER(SNDRV_PCM_HW_PARAM_ACCESS);
	NUMBER(SNDRV_PCM_HW_PARAM_FORMAT);
	NUMBER(SNDRV_PCM_HW_PARAM_SUBFORMAT);
	NUMBER(SNDRV_PCM_HW_PARAM_FIRST_INTERVAL);
	NUMBER(SNDRV_PCM_HW_PARAM_CHANNELS);
	NUMBER(SNDRV_PCM_HW_PARAM_RATE);
	NUMBER(SNDRV_PCM_HW_PARAM_PERIOD_SIZE);
	NUMBER(SNDRV_PCM_HW_PARAM_PERIODS);
	NUMBER(SNDRV_PCM_ACCESS_RW_INTERLEAVED);
	NUMBER(SNDRV_PCM_FORMAT_S16_LE);
	NUMBER(SNDRV_PCM_SUBFORMAT_STD);
	return 0;
}
