package pre

import (
	"archive/zip"
	"fmt"
	"strings"
)

// maxMembers bounds the arrays of one archive.
const maxMembers = 4096

// ReadNPZ reads the named arrays of a numpy archive. An array that the archive
// lacks is an error; others are not read.
func ReadNPZ(path string, names ...string) (map[string]*Array, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer z.Close()
	if len(z.File) > maxMembers {
		return nil, fmt.Errorf("%s: %d arrays, more than %d", path, len(z.File), maxMembers)
	}
	members := map[string]*zip.File{}
	var have []string
	for _, f := range z.File {
		name := strings.TrimSuffix(f.Name, ".npy")
		if members[name] != nil {
			return nil, fmt.Errorf("%s: two arrays are named %q", path, name)
		}
		members[name] = f
		have = append(have, name)
	}
	out := map[string]*Array{}
	for _, name := range names {
		f := members[name]
		if f == nil {
			return nil, fmt.Errorf("%s: no array %q; it has %s", path, name, strings.Join(have, ", "))
		}
		r, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		a, err := ReadNPY(r)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, name, err)
		}
		out[name] = a
	}
	return out, nil
}
