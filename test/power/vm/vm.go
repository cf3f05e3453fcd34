// Package vm boots a real Linux on a real ext4 under QEMU and takes its power
// away, on any machine: it emulates the CPU, since not every machine has KVM.
//
// A guest is one initrd (see [Kernel.Initrd]) with the program test/power/init,
// which mounts the disk at /disk, runs one program and shows what that prints.
// Killing QEMU loses all that the guest had not written to its disk: its page
// cache, its processes, the journal in memory. It does not model a disk that
// forgets what it was told to flush; the disk's own cache is what package
// blocklog replays.
package vm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A Config is a machine to boot.
type Config struct {
	Kernel *Kernel
	Initrd string
	Disk   string   // image that the guest mounts at /disk
	Log    string   // where all writes to the disk are logged, in dm-log-writes' format; "": nowhere
	Memory int      // MiB; 0: 512
	Run    []string // the program that the guest runs, and its arguments, without white space
}

// A Machine is a guest that runs.
type Machine struct {
	Lines <-chan string // what the program prints, line by line; closed when the guest has ended
	cmd   *exec.Cmd
	stdin io.WriteCloser
	said  *tail
}

// Boot starts a guest. The first line that comes is the program's own.
func Boot(c Config) (*Machine, error) {
	memory := c.Memory
	if memory == 0 {
		memory = 512
	}
	for _, arg := range c.Run {
		if arg == "" || strings.ContainsAny(arg, " \t\n\"") {
			return nil, fmt.Errorf("the argument %q cannot go over a kernel's command line", arg)
		}
	}
	args := []string{
		"-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", fmt.Sprint(memory),
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-net", "none",
		"-kernel", c.Kernel.Image, "-initrd", c.Initrd,
		// oops=panic and panic=-1: a guest that is broken ends, rather than hang.
		// no_timer_check: on a busy host an emulated timer is late, which is no fault.
		"-append", "console=ttyS0 quiet loglevel=3 oops=panic panic=-1 no_timer_check -- " + strings.Join(c.Run, " "),
		"-blockdev", "driver=file,node-name=file,filename=" + c.Disk + ",cache.direct=off",
		"-blockdev", "driver=raw,node-name=raw,file=file",
	}
	disk := "raw"
	if c.Log != "" {
		args = append(args,
			"-blockdev", "driver=file,node-name=logfile,filename="+c.Log,
			"-blockdev", "driver=blklogwrites,node-name=logged,file=raw,log=logfile,log-sector-size=512")
		disk = "logged"
	}
	args = append(args, "-device", "virtio-blk-pci,drive="+disk)
	m := &Machine{cmd: exec.Command("qemu-system-x86_64", args...), said: new(tail)}
	m.cmd.Stderr = m.said
	var err error
	if m.stdin, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (Debian's package is qemu-system-x86)", err)
	}
	lines := make(chan string, 64)
	m.Lines = lines
	go m.listen(stdout, lines)
	return m, nil
}

// mark is how init begins every line of the program: the rest is the kernel's
// and the firmware's.
const mark = "> "

func (m *Machine) listen(r io.Reader, lines chan<- string) {
	defer close(lines)
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return // what came without its end was cut off
		}
		line = strings.TrimRight(line, "\r\n")
		if own, ok := strings.CutPrefix(line, mark); ok {
			lines <- own
		} else {
			m.said.WriteString(line + "\n")
		}
	}
}

// Send gives the program a line on its standard input.
func (m *Machine) Send(line string) error {
	_, err := io.WriteString(m.stdin, line+"\n")
	return err
}

// Cut takes the power away. The lines that were on their way still come.
func (m *Machine) Cut() error {
	err := m.cmd.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Wait returns when the guest is off and its lines have been read. It is an
// error if it has ended by itself before [Machine.Cut].
func (m *Machine) Wait() error {
	for range m.Lines {
	}
	err := m.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == -1 {
		return nil // by a signal, that is by Cut
	}
	return fmt.Errorf("the guest ended by itself: %v\n%s", m.cmd.ProcessState, m.said)
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - 4096; n > 0 {
		t.b = t.b[n:]
	}
	return len(p), nil
}

func (t *tail) WriteString(s string) { _, _ = t.Write([]byte(s)) }
func (t *tail) String() string       { return string(t.b) }
