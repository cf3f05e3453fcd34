package format

import "golang.org/x/sys/unix"

// mapFlags fills the page tables at once: the checksums are about to read every
// page, and a fault a page costs more than they do.
const mapFlags = unix.MAP_SHARED | unix.MAP_POPULATE
