package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"rsc.io/qr"

	"github.com/whet-edge/whet/board/serve"
	"github.com/whet-edge/whet/format/vfs"
)

// lanPort is where --lan serves the page to the network.
const lanPort = "8443"

// pairing is who --lan lets in, and the link that it shows.
type pairing struct {
	*serve.Pairing
	out  io.Writer
	host string // by which the link reaches this board

	mu   sync.Mutex
	code string
	up   bool // the server answers
}

// newPairing gives the board a certificate of its own, unless the flags name
// one, and reads who is paired.
func newPairing(cmd *cobra.Command, f *serveFlags) (*pairing, error) {
	hosts := serve.Hosts()
	if f.access.Cert == "" && f.access.Key == "" {
		var err error
		if f.access.Cert, f.access.Key, err = serve.SelfSigned(vfs.OS, f.state, hosts, time.Now()); err != nil {
			return nil, err
		}
	}
	p := &pairing{out: cmd.ErrOrStderr(), host: hosts[0]}
	var err error
	p.Pairing, err = serve.NewPairing(vfs.OS, f.state, p.next)
	return p, err
}

// next takes the code of a new link. Once the server answers, it is shown at
// once.
func (p *pairing) next(code string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code = code
	if p.up {
		p.print()
	}
}

func (p *pairing) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up = true
	p.print()
}

func (p *pairing) print() {
	link := "https://" + net.JoinHostPort(p.host, lanPort) + "/pair/" + p.code
	fmt.Fprintf(p.out, "\nTo let a browser in, open this link, or scan the code. It works once.\nThe browser warns first: the certificate is the board's own.\n\n  %s\n\n", link)
	if c, err := qr.Encode(link, qr.L); err == nil { // without it the link is still there
		fmt.Fprintln(p.out, drawCode(c))
	}
}

// drawCode draws a QR code in half blocks, two rows a line, with the quiet zone
// of four modules that scanners need (ISO/IEC 18004). It is black on white
// whatever the terminal's colours are.
func drawCode(c *qr.Code) string {
	const quiet = 4
	var b strings.Builder
	for y := -quiet; y < c.Size+quiet; y += 2 {
		b.WriteString("  \x1b[30;107m")
		for x := -quiet; x < c.Size+quiet; x++ {
			switch top, low := c.Black(x, y), c.Black(x, y+1); {
			case top && low:
				b.WriteString("█")
			case top:
				b.WriteString("▀")
			case low:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
