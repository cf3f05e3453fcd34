package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The command line comes before the environment, that before the file.
func TestServeConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "serve.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(args ...string) (settings map[string]setting, code int, msg string) {
		var out, errs strings.Builder
		code = execute(t.Context(), append([]string{"serve", "--check", "--json", "--config", file, "--models", dir}, args...), &out, &errs)
		var list []setting
		if code == exitDone {
			if err := json.Unmarshal([]byte(out.String()), &list); err != nil {
				t.Fatal(err)
			}
		}
		settings = map[string]setting{}
		for _, s := range list {
			settings[s.Name] = s
		}
		return settings, code, errs.String()
	}
	write(`{"models": "/nowhere", "queue": 7, "timeout": "3s", "evict": true, "listen": ["127.0.0.1:1", "127.0.0.1:2"], "max-wait": "1s"}`)
	t.Setenv("WHET_SERVE_TIMEOUT", "4s")
	t.Setenv("WHET_SERVE_MAX_WAIT", "2s")
	got, code, msg := check("--max-wait", "5s")
	if code != exitDone {
		t.Fatal(code, msg)
	}
	for name, want := range map[string]setting{
		"models":   {"models", dir, "command line"},
		"queue":    {"queue", "7", file},
		"evict":    {"evict", "true", file},
		"listen":   {"listen", "[127.0.0.1:1,127.0.0.1:2]", file},
		"timeout":  {"timeout", "4s", "WHET_SERVE_TIMEOUT"},
		"max-wait": {"max-wait", "5s", "command line"},
		"quota":    {"quota", "1GiB", "default"},
	} {
		if got[name] != want {
			t.Errorf("%v, want %v", got[name], want)
		}
	}
	for text, want := range map[string]string{
		`{"modells": "x", "quote": 1}`:        "modells, quote: there is no such setting",
		`{"queue": "many"}`:                   "serve.json: queue: ",
		`{"queue": 0}`:                        "--queue: 1 to",
		`{"queue": {"a": 1}}`:                 "a text, a number",
		`{"listen": "0.0.0.0:80"}`:            "can be reached from other machines",
		`{"listen": "80"}`:                    "give HOST:PORT",
		`{"config": "x"}`:                     "config: there is no such setting",
		`{"quota": "big"}`:                    "--quota big",
		`{"sample-key": "/no/such/file"}`:     "no such file",
		`{"token-file": "/no/such/file"}`:     "no such file",
		`{"memory": "some"}`:                  "--memory some",
		`["queue"]`:                           "a JSON object",
		`{} {}`:                               "something follows",
		strings.Repeat(" ", maxConfig) + `{}`: "EOF",
	} {
		write(text)
		if _, code, msg := check(); code == exitDone || !strings.Contains(msg, want) {
			t.Errorf("%.60s: %d, no %q in %s", text, code, want, msg)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("--check has written something: %v %v", entries, err)
	}
}
