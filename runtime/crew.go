package runtime

// A Crew shares work that belongs to no program among the threads that sessions use.
// It is not for concurrent use.
type Crew struct {
	team     team
	session  Session // for the workers' scratch
	step     step
	work     func(scratch []byte, t0, t1 int)
	parallel bool
}

// NewCrew makes a crew of at most so many threads.
func NewCrew(threads int) *Crew {
	c := &Crew{}
	c.team.session = &c.session
	c.team.hire(threads)
	c.session.scratch = make([][]byte, max(1, c.team.threads))
	c.step.run = func(_ *mem, scratch []byte, t0, t1 int) { c.work(scratch, t0, t1) }
	return c
}

// Threads returns how many threads the crew has at most.
func (c *Crew) Threads() int { return len(c.session.scratch) }

// Room makes the scratch of every thread at least n bytes long.
func (c *Crew) Room(n int) {
	for i, s := range c.session.scratch {
		if len(s) < n {
			c.session.scratch[i] = alignedBytes(n)
		}
	}
}

// Begin takes the threads until [Crew.End]. Where a session has them, the crew works
// alone.
func (c *Crew) Begin() { c.parallel = c.team.begin() }

// End gives the threads back.
func (c *Crew) End() {
	c.team.end(c.parallel)
	c.parallel = false
}

// Run calls f for ranges that make up [0, tasks), between Begin and End on several
// threads at once, and returns when all are done.
func (c *Crew) Run(tasks int, f func(scratch []byte, t0, t1 int)) {
	if !c.parallel || tasks < 2 {
		c.Alone(tasks, f)
		return
	}
	c.step.tasks, c.work = tasks, f
	c.team.run(&c.step)
}

// Alone is [Crew.Run] on this thread: for work too short to be shared.
func (c *Crew) Alone(tasks int, f func(scratch []byte, t0, t1 int)) {
	f(c.session.scratch[0], 0, tasks)
}
