// A plugin of QEMU's user-mode emulation: how often every block of code ran between
// the second and the third mark, and how a chain of data caches would have fared.
//
//	-plugin blocks.so,out=FILE[,cache=BYTES/WAYS]...
//
// The program sets a mark by asking for the priority of process group 7 (getpriority),
// an otherwise harmless system call. From the first mark on there are caches, so that
// what runs until the second one warms them. FILE has a line
//
//	block COUNT ADDRESS WORD...	where a block is and its instructions, in hexadecimal
//	cache BYTES LINES WRITTEN	lines that were fetched into the cache, and
//	                        	changed ones that were written back from it
//
// The caches have lines of 64 bytes, replace the least recently used, allocate on
// writes, and are searched in the order given. Instructions are not cached. The counts
// are exact for a program that runs on one thread.
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The part of QEMU's plugin interface, version 1 (QEMU 4.2 to 8.2), that is used.
// Debian has no package with its header.
typedef uint64_t plugin_id;
typedef uint32_t mem_info;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 = 0 };
enum { CB_NO_REGS = 0 };
enum { MEM_RW = 3 };
typedef void (*mem_cb)(unsigned cpu, mem_info info, uint64_t addr, void *data);
extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *, uint64_t);
extern void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, mem_cb, int flags, int rw, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern unsigned qemu_plugin_mem_size_shift(mem_info);
extern bool qemu_plugin_mem_is_store(mem_info);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

enum { GETPRIORITY = 141, PRIO_PGRP = 1, MARK = 7 }; // of linux/arm64

struct block {
	struct block *next;
	uint64_t addr, count;
	size_t n;
	uint32_t word[];
};

enum { BUCKETS = 1 << 16, LINE = 64, MAX_CACHES = 4 };

static struct block *buckets[BUCKETS];

struct way {
	uint64_t line; // 0: empty
	uint64_t used;
	bool dirty;
};

static struct cache {
	uint64_t bytes, sets, ways, lines, written;
	struct way *way;
} caches[MAX_CACHES];

static int ncaches, marks;
static uint64_t now;
static const char *out;

// touch looks a line up in the caches from i on. written says that the line has changed.
static void touch(int i, uint64_t line, bool written)
{
	if (i == ncaches)
		return;
	struct cache *c = &caches[i];
	struct way *set = &c->way[line % c->sets * c->ways], *old = set;
	now++;
	for (uint64_t w = 0; w < c->ways; w++) {
		if (set[w].line == line) {
			set[w].used = now;
			set[w].dirty |= written;
			return;
		}
		if (set[w].used < old->used)
			old = &set[w];
	}
	c->lines++;
	if (old->line && old->dirty) {
		c->written++;
		touch(i + 1, old->line, true);
	}
	*old = (struct way){line, now, written};
	touch(i + 1, line, false);
}

static void access_memory(unsigned cpu, mem_info info, uint64_t addr, void *data)
{
	if (!marks)
		return;
	uint64_t first = addr / LINE, last = (addr + (1 << qemu_plugin_mem_size_shift(info)) - 1) / LINE;
	bool store = qemu_plugin_mem_is_store(info);
	touch(0, first, store);
	if (last != first)
		touch(0, last, store);
}

// find returns the block of that address and code, a new one if there is none: the same
// code is translated again when QEMU has thrown its translation away.
static struct block *find(struct qemu_plugin_tb *tb)
{
	uint64_t addr = qemu_plugin_tb_vaddr(tb);
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct block **bucket = &buckets[addr / 4 % BUCKETS], *b;
	uint32_t word[n];
	for (size_t i = 0; i < n; i++)
		memcpy(&word[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), 4);
	for (b = *bucket; b; b = b->next)
		if (b->addr == addr && b->n == n && !memcmp(b->word, word, 4 * n))
			return b;
	b = calloc(1, sizeof *b + 4 * n);
	if (!b)
		abort();
	b->next = *bucket;
	b->addr = addr;
	b->n = n;
	memcpy(b->word, word, 4 * n);
	return *bucket = b;
}

static void translate(plugin_id id, struct qemu_plugin_tb *tb)
{
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &find(tb)->count, 1);
	if (!ncaches)
		return;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), access_memory, CB_NO_REGS, MEM_RW, NULL);
}

static void write_counts(void)
{
	FILE *f = fopen(out, "w");
	if (!f) {
		perror(out);
		exit(1);
	}
	for (int i = 0; i < BUCKETS; i++)
		for (struct block *b = buckets[i]; b; b = b->next) {
			if (!b->count)
				continue;
			fprintf(f, "block %" PRIu64 " %" PRIx64, b->count, b->addr);
			for (size_t k = 0; k < b->n; k++)
				fprintf(f, " %08" PRIx32, b->word[k]);
			fputc('\n', f);
		}
	for (int i = 0; i < ncaches; i++)
		fprintf(f, "cache %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", caches[i].bytes, caches[i].lines, caches[i].written);
	if (fclose(f)) {
		perror(out);
		exit(1);
	}
}

static void clear_counts(void)
{
	for (int i = 0; i < BUCKETS; i++)
		for (struct block *b = buckets[i]; b; b = b->next)
			b->count = 0;
	for (int i = 0; i < ncaches; i++)
		caches[i].lines = caches[i].written = 0;
}

static void syscall(plugin_id id, unsigned cpu, int64_t num, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
	uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
	if (num != GETPRIORITY || a != PRIO_PGRP || b != MARK)
		return;
	if (++marks == 2)
		clear_counts();
	else if (marks == 3)
		write_counts();
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		struct cache *c = &caches[ncaches];
		if (!strncmp(argv[i], "out=", 4)) {
			out = argv[i] + 4;
		} else if (ncaches < MAX_CACHES && sscanf(argv[i], "cache=%" SCNu64 "/%" SCNu64, &c->bytes, &c->ways) == 2 && c->ways) {
			c->sets = c->bytes / LINE / c->ways;
			c->way = calloc(c->sets * c->ways, sizeof *c->way);
			if (!c->sets || !c->way)
				return -1;
			ncaches++;
		} else {
			fprintf(stderr, "blocks: what is %s?\n", argv[i]);
			return -1;
		}
	}
	if (!out) {
		fprintf(stderr, "blocks: out=FILE is missing\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_vcpu_syscall_cb(id, syscall);
	return 0;
}
