#!/usr/bin/env python3
"""Makes silero_prob.npy: what PyTorch computes in float64 with the weights of
silero_vad_16k.safetensors for a minute of sound, 512 samples at a time.

    pip install torch safetensors numpy
    python3 silero.py DIR       # with silero_vad_16k.safetensors and test.wav
"""

import pathlib
import sys
import wave

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

dir = pathlib.Path(sys.argv[1])
t = {k: v.double() for k, v in load_file(dir / "silero_vad_16k.safetensors").items()}
cell = torch.nn.LSTMCell(128, 128).double()
cell.load_state_dict({k.removeprefix("lstm_cell."): v for k, v in t.items() if k.startswith("lstm_cell.")})
w = wave.open(str(dir / "test.wav"))
sound = torch.tensor(np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(np.float64) / 32768)
context = torch.zeros(1, 64, dtype=torch.float64)
h = c = torch.zeros(1, 128, dtype=torch.float64)
probs = []
with torch.no_grad():
    for frame in sound[: len(sound) // 512 * 512].reshape(-1, 1, 512):
        x = torch.cat([context, frame], 1)
        context = frame[:, -64:]
        y = F.conv1d(F.pad(x, (0, 64), mode="reflect")[:, None], t["stft_conv.weight"], stride=128)
        y = torch.sqrt(y[:, :129] ** 2 + y[:, 129:] ** 2)
        for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)):
            y = F.relu(F.conv1d(y, t[name + ".weight"], t[name + ".bias"], stride=stride, padding=1))
        h, c = cell(y[:, :, 0], (h, c))
        probs.append(torch.sigmoid(F.conv1d(F.relu(h)[:, :, None], t["final_conv.weight"], t["final_conv.bias"])).item())
np.save(pathlib.Path(__file__).parent / "silero_prob.npy", np.array(probs, np.float32))
