"""Writes golden.json: metrics of random predictions by scikit-learn.

    python3 golden.py > golden.json      (scikit-learn, numpy)
"""

import json

import numpy as np
from sklearn import metrics

r = np.random.default_rng(1)
cases = []
for classes, n in ((2, 60), (3, 90), (7, 200)):
    y = r.integers(0, classes, n)
    z = r.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    # Some equal scores, and a class that is never predicted.
    p = np.round(p, 2)
    if classes == 7:
        p[:, 3] *= 0.01
    p = (p / p.sum(1, keepdims=True)).astype("f").astype("d")
    t = p.argmax(1)
    # Expected calibration error, straight from Guo et al., formula 3.
    top, ece = p.max(1), 0.0
    for k in range(15):
        in_bin = (top > k / 15) & (top <= (k + 1) / 15)
        if in_bin.any():
            ece += in_bin.mean() * abs((t == y)[in_bin].mean() - top[in_bin].mean())
    average = {"average": "macro", "zero_division": 0}
    # One against the rest by hand: multi_class="ovr" refuses float32's sums.
    auc = [metrics.roc_auc_score(y == k, p[:, k]) for k in range(classes)]
    auc = auc[1] if classes == 2 else np.mean(auc)
    cases.append({
        "scores": p.tolist(), "class": y.tolist(), "accuracy": metrics.accuracy_score(y, t),
        "precision": metrics.precision_score(y, t, **average), "recall": metrics.recall_score(y, t, **average),
        "f1": metrics.f1_score(y, t, **average), "auc": auc, "calibration": ece,
        "confusion": metrics.confusion_matrix(y, t, labels=range(classes)).tolist(),
    })
y = r.normal(size=(50, 2)).astype("f").astype("d")
t = (y + 0.3 * r.normal(size=(50, 2))).astype("f").astype("d")
values = {
    "predicted": t.tolist(), "target": y.tolist(), "mae": metrics.mean_absolute_error(y, t),
    "rmse": metrics.root_mean_squared_error(y.ravel(), t.ravel()), "r2": metrics.r2_score(y, t),
}
print(json.dumps({"classes": cases, "values": values}))
