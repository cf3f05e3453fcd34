//go:build !linux

package senses

func newCamera(name, _ string, _ options) (Source, error) {
	return nil, specErrorf("%s: cameras are read on Linux; exec: takes pictures from a program", name)
}

func newMicrophone(name, _ string, _ options) (Source, error) {
	return nil, specErrorf("%s: microphones are read on Linux; sound: takes samples from a program", name)
}
