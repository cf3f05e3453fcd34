"""Writes golden.json: what librosa and TensorFlow Lite Micro's front end make of a made-up sound.

    pip install librosa pymicro-features && python3 golden.py > golden.json
"""
import json

import librosa, numpy as np
from pymicro_features import MicroFrontend

i = np.arange(2048, dtype=np.int64)
pcm = (i * i * 31 + i * 7) % 2001 - 1000
y = (pcm / 1024).astype(np.float32)
mel = dict(y=y, sr=16000, n_fft=400, hop_length=256, n_mels=20, pad_mode="reflect")
db = librosa.power_to_db(librosa.feature.melspectrogram(htk=True, norm=None, fmin=100, fmax=7000, **mel), ref=np.max)
front, frames, raw, at = MicroFrontend(), [], (pcm * 30).astype(np.int16).tobytes(), 0
while at + 320 <= len(raw):
    r = front.process_samples(raw[at:at + 320])
    at += 2 * r.samples_read
    if r.features:
        frames.append([round(v * 25.6) for v in r.features])
json.dump({
    "mel": [float(f"{v:.7g}") for v in librosa.feature.melspectrogram(**mel).T.ravel()],
    "mfcc": [float(f"{v:.7g}") for v in librosa.feature.mfcc(S=db, n_mfcc=13, lifter=22).T.ravel()],
    "micro": frames,
}, __import__("sys").stdout)
