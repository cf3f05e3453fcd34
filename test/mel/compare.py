"""Spectrograms of whet beside librosa, and its fixed-point front end beside TensorFlow Lite Micro's own code.

    pip install librosa pymicro-features soundfile
    python3 test/mel/compare.py --material DIR

Errors are the largest difference over the largest magnitude of the feature (dB features: over the range of the picture).
Of the fixed-point features the share of values that differ is printed: a weight can depend on the C library's last bit.
Resampling is compared below four fifths of the lower rate's half, where both filters pass everything.
"""
import argparse, json, pathlib, subprocess, sys, tempfile

import librosa, numpy as np, soundfile
from pymicro_features import MicroFrontend

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOLERANCE = 1e-4

BASE = dict(rate=16000, fft=512, hop=160, shape="hann", center=True, pad="constant", power=2, mels=40, norm=True, log="none", ref=1.0)
CONFIGS = [
    ("mel, Slaney", {}),
    ("mel, HTK, no norm", dict(htk=True, norm=False)),
    ("magnitude, fft 400, window 320", dict(fft=400, window=320, power=1, mels=0)),
    ("log-mel dB, librosa's defaults", dict(rate=22050, fft=2048, hop=512, mels=128, log="db", range=80)),
    ("log-mel dB to the maximum, 125-7500 Hz", dict(low=125, high=7500, log="db", ref=0, range=80, pad="reflect")),
    ("log-mel ln(x + 1e-6), not centred, hamming", dict(center=False, shape="hamming", log="ln", add=1e-6)),
    ("log10, fft 400, Whisper's", dict(fft=400, mels=80, pad="reflect", log="log10")),
    ("MFCC 13", dict(log="db", range=80, mfcc=13)),
    ("MFCC 20 lifter 22, HTK", dict(htk=True, norm=False, log="db", range=80, mfcc=20, lifter=22)),
    ("MFCC 10 of ad-hoc 30 ms frames", dict(fft=480, hop=320, center=False, low=20, high=4000, log="db", mfcc=10)),
]


def expected(y, c):
    window = dict(n_fft=c["fft"], hop_length=c["hop"], win_length=c.get("window") or None, center=c["center"], pad_mode=c["pad"], window=c["shape"])
    if not c["mels"]:
        return np.abs(librosa.stft(y, **window)) ** c["power"]
    s = librosa.feature.melspectrogram(y=y, sr=c["rate"], power=c["power"], n_mels=c["mels"], fmin=c.get("low", 0), fmax=c.get("high"),
                                       htk=c.get("htk", False), norm="slaney" if c["norm"] else None, **window)
    if c["log"] == "db":
        s = librosa.power_to_db(s, ref=np.max if c["ref"] == 0 else c["ref"], top_db=c.get("range"))
    elif c["log"] == "ln":
        s = np.log(s + c["add"])
    elif c["log"] == "log10":
        s = np.log10(np.maximum(s, 1e-10))
    if c.get("mfcc"):
        s = librosa.feature.mfcc(S=s, n_mfcc=c["mfcc"], dct_type=2, norm="ortho", lifter=c.get("lifter", 0))
    return s


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--material", type=pathlib.Path, required=True)
    m = a.parse_args().material
    wavs = [*sorted((m / "tflite-micro").glob("*_1000ms.wav")), m / "gtcrn/mix.wav", *sorted((m / "datasets/fsdd").rglob("*.wav"))[::500]]
    sounds, requests, want, names = {}, [], [], []
    for w in wavs:
        pcm, rate = soundfile.read(w, dtype="int16", always_2d=True)
        sounds[w] = (pcm[: 16000 * 5, 0], rate)
    for name, change in CONFIGS:
        c = BASE | change
        for w, (pcm, rate) in sounds.items():
            y = pcm.astype(np.float32) / 32768
            requests.append({"samples": y.tolist(), "mel": c})
            want.append(expected(y, c)), names.append(name)
    for w, (pcm, rate) in sounds.items():
        requests.append({"samples": pcm.tolist(), "micro": {"step": 10}})
        want.append(micro(pcm)), names.append("microfrontend, 10 ms: share that differs")
    for w, (pcm, rate) in sounds.items():
        y = pcm.astype(np.float32) / 32768
        for to in (16000, 8000, 22050):
            if rate != to:
                requests.append({"samples": y.tolist(), "rate": [rate, to]})
                want.append(librosa.resample(y, orig_sr=rate, target_sr=to, res_type="soxr_vhq")), names.append("resampling, beside soxr VHQ")
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(["go", "build", "-o", f"{tmp}/mel", "./test/mel"], cwd=ROOT, check=True)
        r = subprocess.run([f"{tmp}/mel"], input="\n".join(json.dumps(q) for q in requests), capture_output=True, text=True)
        if r.returncode:
            sys.exit(r.stderr)
    worst, count, failed = {}, {}, False
    for name, q, ref, line in zip(names, requests, want, r.stdout.strip().split("\n")):
        got = np.array(json.loads(line))
        if "micro" in q:
            err = (got != ref).mean() if got.shape == ref.shape else np.inf
            failed |= not err < 5e-3
        elif "rate" in q:
            err = np.inf
            if len(got) == len(ref):
                band = int(len(ref) * 0.4 * min(1, q["rate"][0] / q["rate"][1]))
                a, b = (np.fft.rfft(v * np.hanning(len(v)))[:band] for v in (got, ref))
                err = np.sqrt((abs(a - b) ** 2).sum() / (abs(b) ** 2).sum())
            failed |= not err < 1e-3
        else:
            ref = ref.T.ravel()
            scale = np.ptp(ref) if q["mel"]["log"] != "none" else np.abs(ref).max()
            err = np.abs(got.ravel() - ref).max() / scale if got.size == ref.size else np.inf
            failed |= not err < TOLERANCE
        worst[name], count[name] = max(worst.get(name, 0), err), count.get(name, 0) + 1
    for name, err in worst.items():
        print(f"{name:45} {count[name]:3} sounds  {err:.2g}")
    sys.exit(1 if failed else 0)


def micro(pcm):
    """The frames of TFLM's code, whose Python wrapper steps 10 ms and divides by 25.6."""
    f, out, raw, at = MicroFrontend(), [], pcm.tobytes(), 0
    while at + 320 <= len(raw):
        r = f.process_samples(raw[at:at + 320])
        at += r.samples_read * 2
        if r.features:
            out.append([round(v / 0.0390625) for v in r.features])
    return np.array(out)


main()
