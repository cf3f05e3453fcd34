package senses

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A device is an open device file, as cameras and microphones use it.
type device interface {
	// ioctl passes arg, which points to the structure that the request is made for.
	ioctl(request uint32, arg unsafe.Pointer) error
	mmap(offset int64, length int) ([]byte, error)
	munmap([]byte) error
	// wait returns when there is something to read.
	wait(ctx context.Context) error
	close() error
}

// quietTime is how long a device may give nothing before it counts as hung.
const quietTime = 5 * time.Second

// errQuiet says that a device hangs.
var errQuiet = fmt.Errorf("gave nothing for %v", quietTime)

type deviceFile struct{ fd int }

func openDevice(path string) (device, error) {
	// Without O_NONBLOCK, opening a microphone that is in use waits until it is free.
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	return deviceFile{fd}, nil
}

// openError says what to do about a device that does not open.
func openError(path string, err error) error {
	mend := ""
	switch {
	case errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM):
		mend = ": add the user to the groups video and audio"
	case errors.Is(err, unix.EBUSY):
		mend = ": another program uses it"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		mend = ": is it plugged in?"
	}
	return fmt.Errorf("%w%s", &os.PathError{Op: "open", Path: path, Err: err}, mend)
}

func (d deviceFile) ioctl(request uint32, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(request), uintptr(arg))
		if e == 0 {
			return nil
		}
		if e != unix.EINTR {
			return e
		}
	}
}

func (d deviceFile) mmap(offset int64, length int) ([]byte, error) {
	return unix.Mmap(d.fd, offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
}

func (d deviceFile) munmap(b []byte) error { return unix.Munmap(b) }

func (d deviceFile) wait(ctx context.Context) error {
	const step = 100 * time.Millisecond // how long the end of ctx may go unseen
	for left := quietTime; left > 0; left -= step {
		if err := ctx.Err(); err != nil {
			return err
		}
		fds := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(step/time.Millisecond))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case n == 0:
		case fds[0].Revents&unix.POLLIN != 0:
			return nil
		default:
			return unix.ENODEV // unplugged
		}
	}
	return errQuiet
}

func (d deviceFile) close() error { return unix.Close(d.fd) }

// Directions of an ioctl request (asm-generic/ioctl.h, which x86, Arm and RISC-V use).
const (
	iocNone  = 0
	iocWrite = 1
	iocRead  = 2
)

// ioc makes the number of a request whose argument has the given size.
func ioc(dir, group, number uint32, size uintptr) uint32 {
	return dir<<30 | uint32(size)<<16 | group<<8 | number
}
