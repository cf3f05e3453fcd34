package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/board/sign"
)

// configEnv begins the name of the environment variable of each flag of whet
// serve: WHET_SERVE_MAX_WAIT is --max-wait.
const configEnv = "WHET_SERVE_"

// configFrom is where a setting comes from, by the flag's name.
type configFrom map[string]string

// configure gives the flags that are not on the command line the values of the
// environment, else of the configuration file, a JSON object with the flags'
// names: {"models": "/srv/models", "listen": ["unix:/run/whet.sock"], "evict": true}.
func configure(cmd *cobra.Command, file string) (configFrom, error) {
	values, err := readConfig(file)
	if err != nil {
		return nil, err
	}
	from := configFrom{}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if onlyCommandLine[f.Name] || err != nil {
			return
		}
		env := configEnv + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		v, inFile := values[f.Name]
		delete(values, f.Name)
		switch text, inEnv := os.LookupEnv(env); {
		case f.Changed:
			from[f.Name] = "command line"
		case inEnv:
			from[f.Name] = env
			err = setFlag(cmd, f, env, strings.Split(text, ","))
		case inFile:
			from[f.Name] = file
			err = setFlag(cmd, f, file, v)
		default:
			from[f.Name] = "default"
		}
	})
	if err != nil {
		return nil, err
	}
	unknown := make([]string, 0, len(values))
	for name := range values {
		unknown = append(unknown, name)
	}
	if sort.Strings(unknown); len(unknown) > 0 {
		return nil, usagef("%s: %s: there is no such setting: the names are those of the flags of whet serve", file, strings.Join(unknown, ", "))
	}
	return from, nil
}

// onlyCommandLine are flags that a configuration file cannot have.
var onlyCommandLine = map[string]bool{"config": true, "check": true, "help": true}

// setFlag sets a flag, or says where its wrong value is.
func setFlag(cmd *cobra.Command, f *pflag.Flag, where string, values []string) error {
	if !strings.HasSuffix(f.Value.Type(), "Array") {
		values = []string{strings.Join(values, ",")}
	}
	for _, v := range values {
		if err := cmd.Flags().Set(f.Name, v); err != nil {
			return usagef("%s: %s: %v", where, f.Name, errors.Unwrap(err))
		}
	}
	return nil
}

// maxConfig is more than all settings need.
const maxConfig = 64 << 10

// readConfig reads a configuration file: the texts of each setting.
func readConfig(file string) (map[string][]string, error) {
	values := map[string][]string{}
	if file == "" {
		return values, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d := json.NewDecoder(io.LimitReader(f, maxConfig))
	d.UseNumber()
	var object map[string]any
	if err := d.Decode(&object); err != nil {
		return nil, usagef("%s: %v: a JSON object with the names of the flags is expected", file, err)
	}
	if d.More() {
		return nil, usagef("%s: something follows the object", file)
	}
	for name, v := range object {
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		for _, v := range list {
			switch v.(type) {
			case string, bool, json.Number:
				values[name] = append(values[name], fmt.Sprint(v))
			default:
				return nil, usagef("%s: %s: a text, a number, true, false or a list of texts is expected", file, name)
			}
		}
	}
	return values, nil
}

// A setting is one of the lines of whet serve --check.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
}

// check says whether the daemon could start, and with which settings. It opens
// no address and writes nothing.
func (f *serveFlags) check(cmd *cobra.Command, from configFrom) error {
	access, err := serve.NewAccess(f.access)
	if err != nil {
		return accessError(err)
	}
	for _, a := range f.listen {
		if err := serve.CheckAddress(a, access); err != nil {
			return accessError(err)
		}
	}
	if f.keys != "" {
		if _, err := sign.ReadKeys(f.keys); err != nil {
			return usagef("--keys: %w", err)
		}
	}
	if _, err := f.storeOptions(); err != nil {
		return err
	}
	if _, err := f.budget(); err != nil {
		return err
	}
	if _, err := f.child(); err != nil {
		return err
	}
	if _, err := os.ReadDir(f.models); err != nil {
		return err
	}
	var list []setting
	cmd.LocalFlags().VisitAll(func(fl *pflag.Flag) {
		if from[fl.Name] != "" {
			list = append(list, setting{fl.Name, fl.Value.String(), from[fl.Name]})
		}
	})
	return emit(cmd, list, func(w io.Writer) error {
		tw := table(w)
		for _, s := range list {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", s.Name, s.Value, s.From)
		}
		return tw.Flush()
	})
}
