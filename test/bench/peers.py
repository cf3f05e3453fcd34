#!/usr/bin/env python3
"""Times whet beside LiteRT (XNNPACK) on the same models, interleaved, and prints a table.

    pip install ai-edge-litert numpy
    python3 test/bench/peers.py --material DIR [--threads 1] [--rounds 5] [--json OUT]

Both sides run in turn, round after round, pinned to the same cores, each in a
process of its own that loads the model, warms up and times every inference.
The table shows, for each model, min and median over all rounds in
milliseconds, and the ratio LiteRT / whet of the medians (above 1: whet is
faster). Absolute times mean little on a shared machine; ratios do.
"""
import argparse, glob, json, os, statistics, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LITERT = r"""
import json, sys, time
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model, threads, runs, budget = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
it = Interpreter(model_path=model, num_threads=threads)
it.allocate_tensors()
rng = np.random.RandomState(0)
for d in it.get_input_details():
    if np.issubdtype(d["dtype"], np.floating):
        x = rng.rand(*d["shape"]).astype(d["dtype"])
    else:
        i = np.iinfo(d["dtype"])
        x = rng.randint(i.min, i.max + 1, d["shape"]).astype(d["dtype"])
    it.set_tensor(d["index"], x)
for _ in range(5):
    it.invoke()
t, end = [], time.perf_counter() + budget
while len(t) < runs and (len(t) < 5 or time.perf_counter() < end):
    a = time.perf_counter_ns()
    it.invoke()
    t.append(time.perf_counter_ns() - a)
json.dump(t, sys.stdout)
"""


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--material", required=True, help="folder with .tflite models, searched recursively")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--runs", type=int, default=200, help="inferences a round at most")
    ap.add_argument("--seconds", type=float, default=1.0, help="time a round at most")
    ap.add_argument("--only", default="", help="part of the model's path")
    ap.add_argument("--max-ratio", type=float, help="exit 1 when whet takes more than this many times LiteRT's median on a model with convolutions")
    ap.add_argument("--json", help="write the figures there")
    a = ap.parse_args()
    try:
        import ai_edge_litert
    except ImportError:
        sys.exit("peers.py: ai-edge-litert is missing: pip install ai-edge-litert numpy")

    tmp = tempfile.mkdtemp()
    for prog in ("./board/whet", "./tools/convert/whet-convert"):
        subprocess.run(["go", "build", "-o", tmp + "/", prog], cwd=ROOT, check=True)
    cores = ",".join(map(str, range(a.threads)))
    pin = ["taskset", "-c", cores]
    rows, bad = [], []
    for f in sorted(glob.glob(a.material + "/**/*.tflite", recursive=True)):
        if not os.path.isfile(f) or a.only not in f:
            continue
        w = tmp + "/m.whet"
        subprocess.run([tmp + "/whet-convert", f, "-o", w], check=True, stdout=subprocess.DEVNULL)
        ours, theirs, isa = [], [], ""
        for _ in range(a.rounds):
            r = json.loads(subprocess.run(pin + [tmp + "/whet", "bench", w, "--json", "--threads", str(a.threads), "--runs", str(a.runs)],
                                          check=True, capture_output=True).stdout)
            ours.append((r["min_ns"], r["p50_ns"]))
            isa = r["isa"]
            t = json.loads(subprocess.run(pin + [sys.executable, "-c", LITERT, f, str(a.threads), str(a.runs), str(a.seconds)],
                                          check=True, capture_output=True).stdout)
            theirs.append((min(t), statistics.median(t)))
        row = {"model": os.path.relpath(f, a.material), "threads": a.threads, "isa": isa,
               "whet_min_ms": min(x[0] for x in ours) / 1e6, "whet_p50_ms": statistics.median(x[1] for x in ours) / 1e6,
               "litert_min_ms": min(x[0] for x in theirs) / 1e6, "litert_p50_ms": statistics.median(x[1] for x in theirs) / 1e6}
        row["ratio"] = row["litert_p50_ms"] / row["whet_p50_ms"]
        rows.append(row)
        if not rows[1:]:
            print("| model | whet min | whet median | LiteRT min | LiteRT median | LiteRT / whet |\n|---|---|---|---|---|---|")
        print("| {model} | {whet_min_ms:.3f} | {whet_p50_ms:.3f} | {litert_min_ms:.3f} | {litert_p50_ms:.3f} | {ratio:.2f} |".format(**row), flush=True)
        if a.max_ratio and row["ratio"] < 1 / a.max_ratio:
            bad.append(row["model"])
    g = statistics.geometric_mean(r["ratio"] for r in rows)
    print(f"\ngeometric mean of LiteRT / whet: {g:.2f} ({len(rows)} models, {a.threads} thread(s), {rows[0]['isa']}, "
          f"ai-edge-litert {getattr(ai_edge_litert, '__version__', '?')})")
    if a.json:
        with open(a.json, "w") as o:
            json.dump(rows, o, indent=1)
    if bad:
        sys.exit("slower than allowed: " + ", ".join(bad))


if __name__ == "__main__":
    main()
