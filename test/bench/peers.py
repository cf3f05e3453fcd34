#!/usr/bin/env python3
"""Times whet beside other runtimes on the same models, in turns, and prints tables.

    python3 test/bench/peers.py --material DIR                  every .tflite there, beside LiteRT
    python3 test/bench/peers.py --material DIR --models MODELS --threads 1,2 --profile --json OUT.json
    python3 test/bench/peers.py --material DIR --models MODELS --quick

The first run with --models builds the networks and their twins for every runtime in
that folder (models.py: some 20 minutes). Missing packages are installed with pip
(not with --no-install); a runtime that cannot be installed or does not run a model is
named, and the rest goes on.

How it measures. Each runtime has a process of its own, pinned to the same cores;
all of them hold the model open at once and take turns, round after round, each
stopped (SIGSTOP) while it is not its turn, so that no runtime's spinning threads
run on another's time. The figures are the least time and the median, over the
rounds, of a round's median. Ratios are peer / whet: above 1, whet is faster. The
times mean little on a shared machine; the ratios do, and those of the
least times most. peak/main.go measures the machine's multiply-accumulate peak
in the same run, and --profile prints each layer family's share of it.

A peer's peak memory is told without Python's and numpy's own; whet's is told whole.
"""
import argparse, contextlib, glob, importlib.util, json, os, platform, select, signal, statistics, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PACKAGES = {"litert": ("ai_edge_litert", "ai-edge-litert"), "onnxruntime": ("onnxruntime", "onnxruntime"),
            "openvino": ("openvino", "openvino"), "mnn": ("MNN", "MNN"), "ncnn": ("ncnn", "ncnn")}
QUICK = ("mlperf_", "coral_", "one_op", "mobilenet_v2")
START = 120  # seconds that a runtime may take to open a model, and to answer


def alone(cores, fifo):
    """The start of a command that pins it to cores, and with fifo keeps all other programs off them."""
    return (["chrt", "-f", "1"] if fifo else []) + ["taskset", "-c", cores]


class Gone(Exception):
    """A worker that ended or hung; the text says how."""


class Worker:
    """A process that holds one model open in one runtime and measures when told to."""

    def __init__(self, command, cores, fifo):
        self.err = tempfile.TemporaryFile()
        self.p = subprocess.Popen(alone(cores, fifo) + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.err)
        self.hello = self.answer()
        self.rounds = []
        self.pause()

    def answer(self):
        if not select.select([self.p.stdout], [], [], START)[0]:
            self.p.kill()
            raise Gone(f"no answer in {START} s")
        while line := self.p.stdout.readline():
            if line.startswith(b"{"):  # runtimes greet on stdout too
                return json.loads(line)
        code = self.p.wait()
        self.err.seek(0)
        last = self.err.read().decode(errors="replace").strip().splitlines()
        raise Gone(f"died of {signal.Signals(-code).name}" if code < 0 else (last or ["?"])[-1][:200])

    def pause(self):
        self.p.send_signal(signal.SIGSTOP)

    def ask(self, line):
        self.p.send_signal(signal.SIGCONT)
        try:
            self.p.stdin.write(line.encode() + b"\n")
            self.p.stdin.flush()
            return self.answer()
        finally:
            self.pause()

    def end(self):
        self.p.send_signal(signal.SIGCONT)
        self.p.stdin.close()
        try:
            return self.answer()
        finally:
            self.p.kill()
            self.p.wait()

    def summary(self, memory):
        return {"min_ms": min(r["min_ns"] for r in self.rounds) / 1e6,
                "median_ms": statistics.median(r["p50_ns"] for r in self.rounds) / 1e6,
                "open_first_ms": self.hello["open_first_ns"] / 1e6,
                "peak_rss_mib": (memory["peak_rss"] - memory.get("base_rss", 0)) / 2**20,
                **{k: self.hello[k] for k in ("version", "config", "isa") if k in self.hello}}


def install(names, allowed):
    """Returns those of the runtimes that can be imported, installing them where allowed."""
    have = []
    for n in names:
        module, package = PACKAGES[n]
        if importlib.util.find_spec(module) is None and allowed:
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", package, "numpy"])
            importlib.invalidate_caches()
        if importlib.util.find_spec(module) is None:
            print(f"NOTE: {n} is not installed and is left out (pip install {package})", file=sys.stderr)
        else:
            have.append(n)
    return have


def models(a):
    """Yields name, type and the files by runtime: the index of --models, then what else --material holds."""
    found, seen = [], set()
    if a.models:
        if not os.path.exists(os.path.join(a.models, "index.json")):
            subprocess.run([sys.executable, HERE + "/models.py", "--out", a.models] + (["--material", a.material] if a.material else []) +
                           (["--no-install"] if a.no_install else []), check=True)
        with open(os.path.join(a.models, "index.json")) as f:
            found = json.load(f)
        seen = {m["files"].get("tflite") for m in found}
        for m in found:
            for runtime, why in m["missing"].items():
                print(f"NOTE: {m['name']} {m['type']}: no {runtime}: {' '.join(why.split())[:160]}", file=sys.stderr)
            if "tflite" in m["files"]:
                m["files"]["litert"] = m["files"]["whet"] = m["files"]["tflite"]
    for f in sorted(glob.glob(a.material + "/**/*.tflite", recursive=True)) if a.material else ():
        if os.path.isfile(f) and os.path.abspath(f) not in seen:
            found.append({"name": os.path.relpath(f, a.material), "type": "", "files": {"tflite": f, "litert": f, "whet": f}})
    for m in found:
        if not any(o in f"{m['name']}/{m['type']} {m['files'].get('tflite', '')}" for o in a.only.split(",")):
            continue
        if a.quick and a.models and not m["name"].startswith(QUICK):
            continue
        if "whet" in m["files"]:
            yield m


def compare(m, a, tmp, threads, peers):
    """Measures one model; returns its row."""
    cores = ",".join(str(a.core + i) for i in range(threads))
    row = {"model": m["name"], "type": m["type"], "threads": threads, "results": {}, "failed": {}}
    w = tmp + "/m.whet"
    p = subprocess.run([tmp + "/whet-convert", m["files"]["whet"], "-o", w], capture_output=True, text=True)
    if p.returncode:
        row["failed"]["whet"] = " ".join(p.stderr.split())
        return row
    workers = {}
    with contextlib.ExitStack() as stack:
        def start(name, command):
            try:
                workers[name] = Worker(command, cores, a.fifo)
                stack.callback(workers[name].p.kill)
            except Gone as e:
                row["failed"][name] = str(e)

        start("whet", [tmp + "/worker", w, str(threads)])
        for r in peers:
            if r in m["files"]:
                start(r, [sys.executable, HERE + "/worker.py", r, m["files"][r], str(threads)])
        for _ in range(a.rounds):
            for name in list(workers):
                try:
                    workers[name].rounds.append(workers[name].ask(f"time {a.runs} {a.seconds}"))
                except (Gone, OSError) as e:
                    row["failed"][name] = str(e)
                    del workers[name]
        if a.profile and "whet" in workers:
            n = max(10, min(1000, int(a.seconds / (workers["whet"].rounds[0]["p50_ns"] / 1e9))))
            row["steps"] = workers["whet"].ask(f"profile {n}")["steps"]
        for name, k in workers.items():
            try:
                row["results"][name] = k.summary(k.end())
            except (Gone, OSError) as e:
                row["failed"][name] = str(e)
    if "whet" in workers:
        h = workers["whet"].hello
        row.update(macs=h["macs"], conv=h["conv"], isa=h["isa"])
        if not row["type"]:
            row["type"] = "int8" if h["quantized"] else "f32"
    whet, rest = row["results"].get("whet"), {k: v for k, v in row["results"].items() if k != "whet"}
    if whet and rest:
        row["best"] = min(rest, key=lambda k: rest[k]["min_ms"])
        row["ratio"] = min(r["median_ms"] for r in rest.values()) / whet["median_ms"]
        row["ratio_min"] = rest[row["best"]]["min_ms"] / whet["min_ms"]
    return row


# ---- tables ---------------------------------------------------------------------------------

def number(x):
    """Three or four digits: the figures go from a call of nothing to ResNet50."""
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for r in rows:
        print("| " + " | ".join(r) + " |", flush=True)


def line(row, peers):
    """Least / median time of each runtime in microseconds."""
    cell = lambda r: f"{number(1e3 * r['min_ms'])} / {number(1e3 * r['median_ms'])}" if r else ""
    out = [row["model"], row["type"], cell(row["results"].get("whet"))]
    out += [cell(row["results"].get(p)) or ("failed" if p in row["failed"] else "-") for p in peers]
    return out + [row.get("best", "-"), f"{row['ratio']:.2f}" if "ratio" in row else "-", f"{row['ratio_min']:.2f}" if "ratio_min" in row else "-"]


def peak_of(step, row, peaks):
    """The peak that a step of whet's is held against, in GMAC/s: hybrid steps multiply int8 in float models."""
    kind = "int8" if row["type"] == "int8" or "hybrid" in step["kernel"] else "f32"
    one = peaks.get((row.get("isa"), kind)) or peaks.get(("avx2", kind)) or float("nan")  # a level without a probe runs avx2's kernels
    return row["threads"] * one


def profile(row, peaks):
    """Families of steps, then the steps that lose most time against the peak."""
    steps = [dict(s, peak=peak_of(s, row, peaks)) for s in row["steps"]]
    total = sum(s["min_ns"] for s in steps) or 1
    ideal = sum(s["macs"] / s["peak"] for s in steps)
    print(f"\n{row['model']} {row['type']}: {total / 1e3:.1f} µs in {len(steps)} steps, {100 * ideal / total:.0f} % of the peak")
    families = {}
    for s in steps:
        t = families.setdefault(s["op"].split("+")[0] + ", " + s["kernel"], [0, 0, 0, 0])
        for i, x in enumerate((1, s["min_ns"], s["macs"], s["macs"] / s["peak"])):
            t[i] += x
    table(("family", "steps", "µs", "of the time", "GMAC/s", "of the peak"),
          [(k, str(n), f"{t / 1e3:.1f}", f"{100 * t / total:.0f} %", f"{m / max(t, 1):.1f}", f"{100 * i / max(t, 1):.0f} %")
           for k, (n, t, m, i) in sorted(families.items(), key=lambda f: -f[1][1])])
    lost = sorted(steps, key=lambda s: s["macs"] / s["peak"] - s["min_ns"])[:8]
    table(("µs", "of the peak", "op", "kernel", "MMAC", "KiB", "node"),
          [(f"{s['min_ns'] / 1e3:.1f}", f"{100 * s['macs'] / s['peak'] / max(s['min_ns'], 1):.0f} %", s["op"], s["kernel"], f"{s['macs'] / 1e6:.2f}",
            str(s["bytes"] // 1024), s["node"].split(";")[0][-48:]) for s in lost])


def report(rows, peers, peaks, threads):
    rows = [r for r in rows if r["threads"] == threads]
    cell = lambda r, k: number(r[k])
    print(f"\n## Start and memory, {threads} core(s): open and first run in ms; peak MiB\n")
    names = ["whet"] + peers
    table(["model", "type"] + names, [[r["model"], r["type"]] + [f"{cell(r['results'].get(p), 'open_first_ms')}; {cell(r['results'].get(p), 'peak_rss_mib')}"
          if p in r["results"] else "-" for p in names] for r in rows])
    print(f"\n## In short, {threads} core(s)\n")
    for kind in ("int8", "f32"):
        some = [r for r in rows if r["type"] == kind and "ratio" in r]
        if some:
            sort = lambda r: "single layers" if r["model"].startswith("layer_") else "calls of nothing" if r["model"] == "one_op" else "models"
            for what in ("models", "single layers", "calls of nothing"):
                part = [r for r in some if sort(r) == what]
                if part:
                    g = lambda k: statistics.geometric_mean(r[k] for r in part)
                    print(f"{kind}, {len(part)} {what}: geometric mean of best peer / whet {g('ratio'):.2f} (medians), {g('ratio_min'):.2f} (least times); "
                          f"behind the best peer on {sum(r['ratio_min'] < 1 for r in part)}")
    for r in sorted((r for r in rows if r.get("ratio_min", 1) < 1), key=lambda r: r["ratio_min"]):
        print(f"  behind: {r['model']} {r['type']}: {r['ratio_min']:.2f} of least times, {r['ratio']:.2f} of medians, best is {r['best']}")
    by = {(r["model"], r["type"]): r for r in rows if "whet" in r["results"]}
    for (name, kind), r in by.items():
        f = by.get((name, "f32"))
        if kind == "int8" and f and r["conv"] and r["macs"] > 10e6:
            print(f"  int8 over float32: {name}: {f['results']['whet']['min_ms'] / r['results']['whet']['min_ms']:.2f}")
    for r in rows:
        for p, why in r["failed"].items():
            print(f"  FAILED: {p} on {r['model']} {r['type']}: {why}")
    if peaks:
        print("peak of one core, GMAC/s: " + ", ".join(f"{l} {k} {v:.1f}" for (l, k), v in peaks.items()))


def measure_peaks(tmp, a):
    p = subprocess.run(alone(str(a.core), a.fifo) + [tmp + "/peak"], capture_output=True, text=True)
    if p.returncode:
        print("NOTE: no peak:", p.stderr.strip(), file=sys.stderr)
        return {}
    return {(r["level"], r["type"]): r["gmac_per_s"] for r in json.loads(p.stdout)}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--material", help="folder with .tflite models, searched recursively")
    ap.add_argument("--models", help="folder that models.py made")
    ap.add_argument("--peers", help="runtimes, comma-separated (default: litert, with --models all of " + ",".join(PACKAGES) + ")")
    ap.add_argument("--threads", default="1", help="1, 2 or 1,2")
    ap.add_argument("--core", type=int, default=0, help="the first core to pin to")
    ap.add_argument("--fifo", action="store_true", help="measure in the real-time class, which keeps a busy machine's other programs off the cores (needs root)")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--runs", type=int, default=200, help="inferences a round at most")
    ap.add_argument("--seconds", type=float, default=0.5, help="time a round at most (three inferences at least)")
    ap.add_argument("--only", default="", help="parts of NAME/TYPE or of the .tflite's path, comma-separated: models that have any")
    ap.add_argument("--quick", action="store_true", help="about two minutes: fewer models, short rounds")
    ap.add_argument("--profile", action="store_true", help="whet's time by layer family, and its share of the peak")
    ap.add_argument("--max-ratio", type=float, help="exit 1 when whet takes more than this many times the best peer's least time on a model with convolutions")
    ap.add_argument("--json", help="write the figures there")
    ap.add_argument("--no-install", action="store_true")
    a = ap.parse_args()
    if not a.material and not a.models:
        ap.error("--material or --models is needed")
    if a.quick:
        a.rounds, a.seconds, a.runs = min(a.rounds, 3), min(a.seconds, 0.1), min(a.runs, 100)
    names = a.peers.split(",") if a.peers else list(PACKAGES) if a.models else ["litert"]
    if unknown := [n for n in names if n not in PACKAGES]:
        ap.error("unknown runtimes: " + ", ".join(unknown))
    peers = install(names, not a.no_install)
    if not peers:
        sys.exit("peers.py: no other runtime to compare with")

    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        for program in ("./tools/convert/whet-convert", "./test/bench/worker", "./test/bench/peak"):
            subprocess.run(["go", "build", "-o", tmp + "/", program], cwd=ROOT, check=True)
        peaks = measure_peaks(tmp, a)
        for threads in map(int, a.threads.split(",")):
            print(f"\n## {threads} core(s): least / median of a run in µs; best peer / whet of medians and of least times\n")
            head = ["model", "type", "whet"] + peers + ["best peer", "ratio", "ratio of least"]
            print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
            for m in models(a):
                rows.append(compare(m, a, tmp, threads, peers))
                print("| " + " | ".join(line(rows[-1], peers)) + " |", flush=True)
            report(rows, peers, peaks, threads)
            if a.profile:
                print(f"\n## Where whet's time goes, {threads} core(s)")
                for r in rows:
                    if r["threads"] == threads and "steps" in r:
                        profile(r, peaks)
    if a.json:
        with open(a.json, "w") as o:
            json.dump({"machine": {"platform": platform.platform(), "cpu": cpu_name()}, "peers": peers, "rounds": a.rounds, "fifo": a.fifo,
                       "peak": [{"level": l, "type": k, "gmac_per_s": v} for (l, k), v in peaks.items()], "rows": rows}, o, indent=1)
    if not rows:
        sys.exit("peers.py: no model matches")
    if a.max_ratio:
        bad = [f"{r['model']} {r['type']}" for r in rows if r.get("conv") and r.get("ratio_min", 1) < 1 / a.max_ratio]
        bad += [f"{r['model']} {r['type']} ({r['failed']['whet']})" for r in rows if "whet" in r["failed"]]
        if bad:
            sys.exit("slower than allowed: " + ", ".join(bad))


def cpu_name():
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as f:
        return next((l.split(":", 1)[1].strip() for l in f if l.startswith("model name")), "")
    return platform.processor()


if __name__ == "__main__":
    main()
