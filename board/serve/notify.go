package serve

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// Notify tells systemd how the service is: lines of NAME=value of
// sd_notify(3), such as "READY=1". It does nothing for a process that systemd
// did not start with Type=notify.
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' { // a name of Linux' abstract namespace
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	return nil
}

// Watchdog tells systemd that the process lives, twice as often as it wants to
// hear it, until ctx ends. alive is asked first; while it hangs, so does the
// word, and systemd restarts the service.
func Watchdog(ctx context.Context, alive func()) {
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if err != nil || usec <= 0 || os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	t := time.NewTicker(time.Duration(usec) * time.Microsecond / 2)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			alive()
			_ = Notify("WATCHDOG=1") // the next one may come through
		}
	}
}
