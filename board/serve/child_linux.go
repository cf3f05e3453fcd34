package serve

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// detach puts the child into a process group of its own, so that a terminal's
// Ctrl-C comes to the parent alone, which ends the child in order, and lets the
// kernel kill it when the parent is killed.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// yield lets everything else go first, and when memory runs out the kernel take
// the child. Neither is needed for the child to work, so errors are passed over.
func yield(pid int) {
	// By group: it reaches all threads, by process only one (setpriority(2)).
	_ = unix.Setpriority(unix.PRIO_PGRP, pid, 19)
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte("1000"), 0)
}

// idle lets a process compute only while nobody else wants the core: a thread of this
// policy (sched(7)) leaves it the moment another one wakes up, a nice one at the end of
// its slice, milliseconds later. Threads have policies of their own, and what they start
// inherits them: when all that are there have been told, all that come will know.
func idle(pid int) {
	dir := "/proc/" + strconv.Itoa(pid) + "/task"
	told := map[string]bool{}
	for more := true; more; {
		more = false
		threads, _ := os.ReadDir(dir) // as above
		for _, t := range threads {
			if told[t.Name()] {
				continue
			}
			told[t.Name()], more = true, true
			if id, err := strconv.Atoi(t.Name()); err == nil {
				_ = unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
			}
		}
	}
}

// freeze stops a process and its threads, or lets them go on.
func freeze(pid int, on bool) {
	sig := unix.SIGCONT
	if on {
		sig = unix.SIGSTOP
	}
	_ = unix.Kill(pid, sig) // it may have ended
}

// ownMemory returns the bytes that a process has in RAM without those of mapped
// files, which the kernel can take back (proc_pid_statm(5)), or 0.
func ownMemory(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	f := strings.Fields(string(b))
	if err != nil || len(f) < 3 {
		return 0
	}
	resident, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return 0
	}
	shared, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}

// hardSlack is what a process may map beyond what it may have in RAM: Go maps
// its heap 64 MiB at a time.
const hardSlack = 256 << 20

// limitMemory lets the kernel refuse memory far beyond what the child may have:
// what is taken at one stroke could end the daemon before anybody has looked.
// The limit is one of private writable memory (RLIMIT_DATA, setrlimit(2)): the
// address space that Go reserves and files that are mapped do not count.
func limitMemory(pid int, bytes int64) {
	most := uint64(bytes + hardSlack)
	_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: most, Max: most}, nil) // as above
}
