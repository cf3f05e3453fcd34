// Package ziptest reads the test data of the importers, which lies in zip files.
package ziptest

import (
	"archive/zip"
	"io"
	"testing"
)

// Files returns the files of a zip file by name.
func Files(t testing.TB, name string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(name)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	m := map[string][]byte{}
	for _, e := range z.File {
		r, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		if m[e.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return m
}
