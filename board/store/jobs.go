package store

import (
	"errors"
	"fmt"
)

// Each model has a folder for its training job: the description of the task,
// which the daemon writes, whatever the job keeps there to go on after a crash,
// and how the last job ended. A job exists as long as its description does.
const (
	taskName    = "task.json"
	outcomeName = "outcome.json"
)

// JobFile returns where the file of a model's training job belongs.
func (s *Store) JobFile(model string) string { return s.path("jobs", model, "job") }

// SaveJob begins a training job of a model: it makes the description durable,
// which [Store.Jobs] gives back until [Store.EndJob].
func (s *Store) SaveJob(model string, task []byte) error {
	if err := CheckName(model); err != nil {
		return err
	}
	if err := mkdir(s.fsys, s.path("jobs", model)); err != nil {
		return err
	}
	return writeFile(s.fsys, s.path("jobs", model, taskName), task)
}

// Jobs returns the descriptions of the jobs that were begun and not ended.
func (s *Store) Jobs() (map[string][]byte, error) {
	models, err := s.fsys.List(s.path("jobs"))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	jobs := map[string][]byte{}
	for _, model := range models {
		// As for versions: what is there becomes durable before it is told.
		if err := s.fsys.SyncDir(s.path("jobs", model)); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		task, err := readFile(s.fsys, s.path("jobs", model, taskName), maxManifest)
		switch {
		case notExist(err):
			err = s.clearJob(model)
		case err == nil:
			jobs[model] = task
		}
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	return jobs, nil
}

// Outcome returns how a model's last job ended, or nil.
func (s *Store) Outcome(model string) ([]byte, error) {
	if err := CheckName(model); err != nil {
		return nil, err
	}
	b, err := readFile(s.fsys, s.path("jobs", model, outcomeName), maxManifest)
	if err != nil && !notExist(err) {
		return nil, fmt.Errorf("store: %w", err)
	}
	return b, nil
}

// EndJob notes how a model's job ended, forgets the job and removes what it kept.
func (s *Store) EndJob(model string, outcome []byte) error {
	if err := CheckName(model); err != nil {
		return err
	}
	if err := writeFile(s.fsys, s.path("jobs", model, outcomeName), outcome); err != nil {
		return err
	}
	err := s.fsys.Remove(s.path("jobs", model, taskName))
	if notExist(err) {
		return nil
	}
	if err == nil {
		err = s.fsys.SyncDir(s.path("jobs", model))
	}
	if err == nil {
		err = s.clearJob(model)
	}
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// clearJob empties the folder of a job that has ended.
func (s *Store) clearJob(model string) error {
	names, err := s.fsys.List(s.path("jobs", model))
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		if n != outcomeName {
			errs = append(errs, s.fsys.Remove(s.path("jobs", model, n)))
		}
	}
	return errors.Join(errs...)
}
