package store

import "fmt"

// The folder of what each model's samples were like when its version was new.
const referencesName = "references"

// SetReference keeps a description of what a model is usually shown, in the
// place of an older one.
func (s *Store) SetReference(model string, b []byte) error {
	if err := CheckName(model); err != nil {
		return err
	}
	if err := mkdir(s.fsys, s.path(referencesName)); err != nil {
		return err
	}
	return writeFile(s.fsys, s.path(referencesName, model), b)
}

// Reference returns what [Store.SetReference] was given, or nil.
func (s *Store) Reference(model string) ([]byte, error) {
	if err := CheckName(model); err != nil {
		return nil, err
	}
	b, err := readFile(s.fsys, s.path(referencesName, model), maxManifest)
	if notExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return b, nil
}
