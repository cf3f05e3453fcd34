package serve

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Every thread of a process that trains leaves the core to whoever wants it.
func TestChildIdles(t *testing.T) {
	c := testChild(t, "waits")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	threads := 0
	_, err := c.Train(ctx, testTask(t), func(Progress) {
		defer stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		for pid := range c.running {
			list, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
			if err != nil {
				t.Error(err)
			}
			for _, thread := range list {
				id, err := strconv.Atoi(thread.Name())
				if err != nil {
					t.Fatal(err)
				}
				a, err := unix.SchedGetAttr(id, 0)
				if err != nil {
					t.Errorf("thread %d: %v", id, err)
				} else if a.Policy != unix.SCHED_IDLE {
					t.Errorf("thread %d of %d has policy %d", id, len(list), a.Policy)
				}
				threads++
			}
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if threads < 2 {
		t.Errorf("%d threads seen", threads)
	}
}
