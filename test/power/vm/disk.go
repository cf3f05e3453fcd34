package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// MakeDisk makes an image with an empty ext4.
func MakeDisk(name string, megabytes int) error {
	_ = os.Remove(name) // what was there before
	return tool("mke2fs", "-q", "-t", "ext4", name, fmt.Sprintf("%dM", megabytes))
}

// DumpDisk recovers the file system of an image as the next boot would, by its
// journal, and copies what is in it to dir. It changes the image.
func DumpDisk(image, dir string) error {
	// e2fsck's bits 1 and 2 say that something was repaired. A journal that is
	// replayed sets 1, too: what matters is whether what was promised is there.
	err := tool("e2fsck", "-fy", image)
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 3) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return tool("debugfs", "-R", "rdump / "+dir, image)
}

// tool runs a program of e2fsprogs.
func tool(name string, args ...string) error {
	path, err := lookPath(name)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// lookPath finds a program of administrators, whom Debian gives another PATH.
func lookPath(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: it is in Debian's package e2fsprogs", name)
}
