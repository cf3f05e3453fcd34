package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
)

// scopes are the names of cases that are none of whet's, and why.
var scopes = []struct {
	name *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`^test_(training_|adagrad|adam|momentum|nesterov|gradient)`), "training"},
	{regexp.MustCompile(`STRING|^test_(strnorm|string_|regex|label_encoder)`), "texts"},
	{regexp.MustCompile(`_(sequence|seq)(_|$)|^test_(sequence|split_to_sequence|concat_from_sequence)`), "sequences"},
	{regexp.MustCompile(`_(optional|opt)(_|$)`), "optional values"},
	{regexp.MustCompile(`^test_image_`), "images"},
}

// outOfScope says why a case is, "" if it is not.
func outOfScope(name string) string {
	for _, s := range scopes {
		if s.name.MatchString(name) {
			return s.why
		}
	}
	return ""
}

// A peer is how another runtime fares on the same cases.
type peer struct {
	Version string   `json:"version"`
	Passed  int      `json:"passed"`
	InScope int      `json:"in_scope_passed"`
	More    []string `json:"passed_by_peer_alone,omitempty"`
}

//go:embed peer.py
var peerScript []byte

// runPeer runs the cases with onnxruntime. One that ends the process counts as
// failed, and the rest is run by a new one.
func runPeer(python string, cases []result, stderr io.Writer) (*peer, error) {
	script, err := os.CreateTemp("", "peer-*.py")
	if err != nil {
		return nil, err
	}
	defer os.Remove(script.Name())
	if _, err := script.Write(peerScript); err != nil {
		return nil, err
	}
	if err := script.Close(); err != nil {
		return nil, err
	}
	p := &peer{}
	for done := 0; done < len(cases); {
		var list bytes.Buffer
		for _, c := range cases[done:] {
			fmt.Fprintln(&list, c.dir)
		}
		cmd := exec.Command(python, script.Name())
		cmd.Stdin, cmd.Stderr = &list, stderr
		out, runErr := cmd.Output()
		s := bufio.NewScanner(bytes.NewReader(out))
		s.Scan()
		if p.Version = s.Text(); p.Version == "" {
			return nil, fmt.Errorf("%s: onnxruntime did not start: %w", python, runErr)
		}
		for s.Scan() && done < len(cases) {
			var passed bool
			if err := json.Unmarshal(s.Bytes(), &passed); err != nil {
				return nil, fmt.Errorf("%s: case %s: %w", python, cases[done].Name, err)
			}
			if passed {
				p.Passed++
				if cases[done].Scope == "" {
					p.InScope++
					if cases[done].Verdict != pass {
						p.More = append(p.More, cases[done].Name)
					}
				}
			}
			done++
		}
		if runErr == nil && done < len(cases) {
			return nil, fmt.Errorf("%s: it ended after %d of %d cases", python, done, len(cases))
		}
		if runErr != nil {
			done++
		}
	}
	return p, nil
}
