package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// recorded holds, for every loop and core, the cycles that a passage took when it was
// last measured: "kernel core cycles", one a line.
//
//go:embed recorded.txt
var recorded string

// slower is how much longer than recorded a passage may take: llvm-mca's cycles are
// those of 300 passages, the first one included.
const slower = 1.02

// writeRecord writes the rows as recorded.txt has them.
func writeRecord(w io.Writer, rows []row) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "%s %s %.2f\n", r.Kernel, r.Core, r.Cycles); err != nil {
			return err
		}
	}
	return nil
}

// check returns what is wrong with the rows: a share below the asked one for which the
// report gives no reason, and a loop that takes longer than recorded or has no record.
func check(rows []row, record string) error {
	cycles := map[string]float64{}
	for line := range strings.Lines(record) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return fmt.Errorf("recorded.txt: %q is not a kernel, a core and cycles", line)
		}
		c, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return fmt.Errorf("recorded.txt: %w", err)
		}
		cycles[fields[0]+" "+fields[1]] = c
	}
	var errs []error
	for _, r := range rows {
		name := r.Kernel + " " + r.Core
		if r.Share < r.Asked && r.Reason == "" {
			errs = append(errs, fmt.Errorf("%s: %.0f %% of the limit, %.0f %% are asked, and the report gives no reason",
				name, 100*r.Share, 100*r.Asked))
		}
		if was, known := cycles[name]; !known {
			errs = append(errs, fmt.Errorf("%s: not in recorded.txt; --record writes it", name))
		} else if r.Cycles > slower*was {
			errs = append(errs, fmt.Errorf("%s: %.2f cycles, %.2f are recorded; if the loop does more now, --record", name, r.Cycles, was))
		}
	}
	return errors.Join(errs...)
}
