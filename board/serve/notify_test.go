package serve

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("systemd is Linux'")
	}
	names := []string{filepath.Join(t.TempDir(), "n")}
	if runtime.GOOS == "linux" {
		names = append(names, fmt.Sprintf("@whet-test-%d", os.Getpid()))
	}
	for _, name := range names {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		read := func() string {
			t.Helper()
			if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, err := l.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			return string(b[:n])
		}
		t.Setenv("NOTIFY_SOCKET", name)
		if err := Notify("READY=1"); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != "READY=1" {
			t.Errorf("%s: systemd hears %q", name, got)
		}
		t.Setenv("WATCHDOG_USEC", "2000")
		ctx, stop := context.WithCancel(t.Context())
		asked := make(chan bool, 1)
		ended := make(chan bool)
		go func() {
			defer close(ended)
			Watchdog(ctx, func() {
				select {
				case asked <- true:
				default:
				}
			})
		}()
		if got := read(); got != "WATCHDOG=1" || !<-asked {
			t.Errorf("%s: systemd hears %q", name, got)
		}
		stop()
		<-ended
		l.Close()
		if err := Notify("READY=1"); err == nil {
			t.Errorf("%s: nobody listens, and that is no error", name)
		}
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	Watchdog(t.Context(), nil) // returns at once
}

// TestUnit lets systemd judge the unit: an exposure of 0 would be a process that
// can do nothing, 10 one that can do everything.
func TestUnit(t *testing.T) {
	const unit = "systemd/whet.service"
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"StartLimitIntervalSec=0", "Restart=always", "Type=notify", "KillMode=mixed", "OOMPolicy=continue"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit's exposure is not judged")
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", unit).CombinedOutput()
	if strings.Contains(string(out), "unrecognized option") {
		t.Skip("systemd-analyze is older than version 250: the unit's exposure is not judged")
	}
	m := regexp.MustCompile(`Overall exposure level for whet.service: ([0-9.]+)`).FindSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("systemd-analyze: %v\n%s", err, out)
	}
	if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 2 {
		t.Errorf("exposure level %s, want at most 2.0\n%s", m[1], out)
	}
}
