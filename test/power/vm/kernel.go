package vm

import (
	"fmt"
	"os"
	"path/filepath"
)

// A Kernel is what an unpacked Debian package linux-image-* holds.
type Kernel struct {
	Image   string   // boot/vmlinuz-*
	Modules []string // what a virtio disk needs, in the order in which they load
}

// modules are those that Debian's kernels do not have built in; ext4 is.
var modules = []string{
	"virtio/virtio_ring.ko", "virtio/virtio.ko", "virtio/virtio_pci_legacy_dev.ko",
	"virtio/virtio_pci_modern_dev.ko", "virtio/virtio_pci.ko", "block/virtio_blk.ko",
}

// FindKernel looks below dir, into which test/power/kernel unpacks a package.
func FindKernel(dir string) (*Kernel, error) {
	one := func(pattern string) (string, error) {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err == nil && len(names) != 1 {
			err = fmt.Errorf("%s has %d files %s, not one: make it with test/power/kernel %s", dir, len(names), pattern, dir)
		}
		if err != nil {
			return "", err
		}
		return names[0], nil
	}
	image, err := one("boot/vmlinuz-*")
	if err != nil {
		return nil, err
	}
	k := &Kernel{Image: image}
	for _, m := range modules {
		name, err := one("lib/modules/*/kernel/drivers/" + m)
		if err != nil {
			return nil, err
		}
		k.Modules = append(k.Modules, name)
	}
	return k, nil
}

// Initrd writes the first file system of a guest to name: the program init, the
// kernel's modules, and files, which maps names in the guest to files here. All
// are executable and belong to root.
func (k *Kernel) Initrd(name, init string, files map[string]string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	c := &cpio{w: f}
	for _, dir := range []string{"dev", "proc", "tmp", "disk", "modules"} {
		c.entry(dir, 0o40755, nil)
	}
	c.copy("init", init)
	for i, m := range k.Modules {
		c.copy(fmt.Sprintf("modules/%d", i), m)
	}
	for guest, host := range files {
		c.folders(guest)
		c.copy(guest, host)
	}
	c.entry("TRAILER!!!", 0, nil)
	if c.err != nil {
		return fmt.Errorf("%s: %w", name, c.err)
	}
	return f.Close()
}
