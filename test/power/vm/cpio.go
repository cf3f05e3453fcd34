package vm

import (
	"fmt"
	"io"
	"os"
	"path"
)

// cpio writes the archive format "newc" that the kernel unpacks into its first
// file system (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	w    io.Writer
	made map[string]bool
	n    int
	err  error
}

// entry adds a file or, by its mode, a folder.
func (c *cpio) entry(name string, mode uint32, body []byte) {
	c.n++
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
	// rdevmajor, rdevminor, namesize, check
	c.printf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.n, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name)+1, 0, name)
	c.pad(110 + len(name) + 1)
	c.write(body)
	c.pad(len(body))
}

func (c *cpio) copy(name, host string) {
	body, err := os.ReadFile(host)
	if err != nil && c.err == nil {
		c.err = err
	}
	c.entry(name, 0o100755, body)
}

// folders adds those that a file lies in.
func (c *cpio) folders(name string) {
	dir := path.Dir(name)
	if dir == "." || c.made[dir] {
		return
	}
	c.folders(dir)
	if c.made == nil {
		c.made = map[string]bool{}
	}
	c.made[dir] = true
	c.entry(dir, 0o40755, nil)
}

// pad fills up to a multiple of four.
func (c *cpio) pad(n int) { c.write(make([]byte, -n&3)) }

func (c *cpio) printf(format string, args ...any) { c.write(fmt.Appendf(nil, format, args...)) }

func (c *cpio) write(b []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(b)
	}
}
