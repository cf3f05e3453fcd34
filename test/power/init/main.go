//go:build linux

// Init is the first process of a guest of test/power/vm: it mounts the disk at
// /disk, runs the program that its arguments name, puts "> " before every line
// that the program prints, and switches the machine off when it ends.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Printf("> init: %v\n", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run(args []string) error {
	for dir, kind := range map[string]string{"/proc": "proc", "/dev": "devtmpfs", "/tmp": "tmpfs"} {
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	modules, err := filepath.Glob("/modules/*")
	if err != nil {
		return err
	}
	for _, name := range modules {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		_ = f.Close() // it was only read
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		// errors=panic: a file system that is not whole ends the guest, and the test.
		err := unix.Mount("/dev/vda", "/disk", "ext4", 0, "errors=panic")
		if err == nil {
			break
		}
		if time.Since(start) > 20*time.Second {
			return fmt.Errorf("mounting the disk: %w", err)
		}
	}
	if len(args) == 0 {
		return fmt.Errorf("there is nothing to run")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=/", "HOME=/tmp", "TMPDIR=/tmp"}
	cmd.Stdin = os.Stdin
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Printf("> %s\n", lines.Text()) // one write: lines do not mix
		}
	}()
	err = cmd.Run()
	_ = in.Close() // of a pipe, which cannot fail
	<-shown
	return err
}
