"""The other side of test/road: the same work by the libraries that people use.

    peer.py WORK PART [ARGS]

reads what the Go program wrote into WORK and prints a line of JSON last.
cnn and lstm need tensorflow-cpu (Keras 3); tables scikit-learn and pandas;
explain torch and captum; attack torch; privacy dp-accounting.
"""

import json
import os
import sys
import time

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
work = sys.argv[1]


def raw(name, *shape):
    return np.fromfile(os.path.join(work, name), "<f4").reshape(shape)


def load(name):
    with open(os.path.join(work, name)) as f:
        return json.load(f)


def constants(name):
    return {k: np.array(v["data"], "f").reshape(v["shape"]) for k, v in load(name).items()}


def threads(n):
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(n)
    tf.config.threading.set_inter_op_parallelism_threads(n)


def set_layers(model, c, names):
    """Gives layers whet's weights: [out,h,w,in] to [h,w,in,out], [out,in] to [in,out]."""
    for name in names:
        w, b = c[name + "/weights"], c[name + "/bias"]
        w = w.transpose(1, 2, 3, 0) if w.ndim == 4 else w.T
        model.get_layer(name).set_weights([w, b])


def article():
    from keras import layers

    inp = layers.Input((28, 28, 1))
    t = layers.Conv2D(32, 3, activation="relu", name="conv1")(inp)
    t = layers.MaxPooling2D()(t)
    t = layers.Conv2D(64, 3, activation="relu", name="conv2")(t)
    t = layers.MaxPooling2D()(t)
    t = layers.Flatten()(t)
    return inp, layers.Dense(128, activation="relu", name="dense1")(t)


def edit():
    threads(2)
    import keras
    from keras import layers

    x, tx = raw("train.x", -1, 28, 28, 1), raw("test.x", -1, 28, 28, 1)
    y, ty = np.array(load("train_y.json")), np.array(load("test_y.json"))
    inp, hidden = article()
    m = keras.Model(inp, layers.Dense(10, activation="sigmoid", name="end")(hidden))
    set_layers(m, constants("weights.json"), ["conv1", "conv2", "dense1", "end"])
    for name in ("conv1", "conv2"):
        m.get_layer(name).trainable = False
    m.compile(keras.optimizers.Adam(epsilon=1e-8), "binary_crossentropy")
    m.fit(x, np.eye(10, dtype="f")[y], epochs=5, shuffle=False, verbose=0)
    return float((m.predict(tx, verbose=0).argmax(1) == ty).mean())


def cnn():
    threads(2)
    import keras
    from keras import layers

    epochs = int(sys.argv[3])
    x, y = raw("train.x", -1, 28, 28, 1), raw("train.y", -1).astype(int)
    tx, ty = raw("test.x", -1, 28, 28, 1), raw("test.y", -1).astype(int)
    inp, hidden = article()
    m = keras.Model(inp, layers.Dense(10, activation="softmax", name="dense2")(hidden))
    set_layers(m, constants("weights.json"), ["conv1", "conv2", "dense1", "dense2"])
    m.compile(keras.optimizers.Adam(epsilon=1e-8), "sparse_categorical_crossentropy", metrics=["accuracy"])
    begin = time.time()
    h = m.fit(x, y, epochs=epochs, validation_split=0.1, shuffle=False, verbose=0).history
    seconds = time.time() - begin
    accuracy = float((m.predict(tx, verbose=0).argmax(1) == ty).mean())
    return {"accuracy": accuracy, "seconds": seconds, "loss": h["loss"], "val": h["val_loss"]}


def tables():
    import warnings

    import pandas
    from sklearn import metrics
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore")  # the epochs are few on purpose
    out = {}
    for d in load("tables.json"):
        t = pandas.read_csv(d["Path"], header=None)
        t.columns = [str(i + 1) for i in range(t.shape[1])]
        for z in d["Zeros"] or []:
            t[z] = t[z].replace(0, np.nan)
        t = t.dropna().reset_index(drop=True)
        numbers = t.select_dtypes("number")
        y, x = t[d["Target"]], t.drop(columns=d["Target"])
        figures, scores = [], []
        for seed, r in enumerate(d["Runs"]):
            a, b = x.loc[r["Train"]], x.loc[r["Val"]]
            a, b = (a - a.mean()) / a.std(), (b - a.mean()) / a.std()
            ya, yb = y.loc[r["Train"]], y.loc[r["Val"]].to_numpy()
            p = np.array(r["Scores"], "f").astype(float)
            options = dict(hidden_layer_sizes=(32, 16), batch_size=32, learning_rate_init=3e-3, alpha=0.0, max_iter=d["Epochs"], n_iter_no_change=10**6, tol=0, random_state=seed)
            if d["Regression"]:
                yb = yb.astype("f").astype(float)
                figures.append({"mae": metrics.mean_absolute_error(yb, p[:, 0]), "rmse": metrics.root_mean_squared_error(yb, p[:, 0]), "r2": metrics.r2_score(yb, p[:, 0])})
                scores.append(metrics.root_mean_squared_error(yb, MLPRegressor(**options).fit(a, ya).predict(b)))
                continue
            k, guess = np.array(r["Class"]), p.argmax(1)
            average = {"average": "macro", "zero_division": 0}
            auc = [metrics.roc_auc_score(k == i, p[:, i]) for i in range(p.shape[1])]
            figures.append({
                "accuracy": metrics.accuracy_score(k, guess), "precision": metrics.precision_score(k, guess, **average),
                "recall": metrics.recall_score(k, guess, **average), "f1": metrics.f1_score(k, guess, **average),
                "auc": auc[1] if len(auc) == 2 else float(np.mean(auc)),
            })
            scores.append(float((MLPClassifier(**options).fit(a, ya).predict(b) == yb).mean()))
        out[d["Name"]] = {"rows": len(t), "mean": numbers.mean().tolist(), "std": numbers.std().tolist(), "figures": figures, "scores": scores}
    return out



def lstm():
    threads(2)
    from keras import Sequential, layers

    d = load("lstm.json")
    x, tx = raw("train.x", -1, d["Steps"], d["Dims"]), raw("test.x", -1, d["Steps"], d["Dims"])
    y, ty = np.array(load("train_y.json")), np.array(load("test_y.json"))
    scores, first, seconds = [], [], 0
    for seed in range(d["Seeds"]):
        c = constants(f"lstm{seed}.json")
        m = Sequential([layers.Input(x.shape[1:]), layers.LSTM(32), layers.Dense(d["Classes"], activation="softmax")])

        def gates(w):  # [4h, n] in the order i, o, f, c to [n, 4h] in i, f, c, o
            i, o, f, g = np.split(w, 4)
            return np.concatenate([i, f, g, o]).T

        b = c["lstm1/bias"][0]
        m.layers[0].set_weights([gates(c["lstm1/weights"][0]), gates(c["lstm1/recurrent"][0]), gates((b[:128] + b[128:])[:, None])[0]])
        m.layers[1].set_weights([c["dense1/weights"].T, c["dense1/bias"]])
        import keras

        m.compile(keras.optimizers.Adam(2e-3, epsilon=1e-8, global_clipnorm=d["Clip"] or None), "sparse_categorical_crossentropy")
        begin = time.time()
        h = m.fit(x, y, epochs=d["Epochs"], batch_size=d["Batch"], shuffle=False, verbose=0).history
        first.append(h["loss"][0])
        seconds += time.time() - begin
        scores.append(float((m.predict(tx, verbose=0).argmax(1) == ty).mean()))
    return {"scores": scores, "first": first, "seconds": seconds}


def torch_cnn():
    import torch
    from torch import nn

    torch.set_num_threads(1)
    c = {k: torch.tensor(v) for k, v in constants("weights.json").items()}

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.c1, self.c2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3)
            self.d1, self.d2 = nn.Linear(1600, 128), nn.Linear(128, 10)
            self.r1, self.r2, self.r3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
            self.p1, self.p2 = nn.MaxPool2d(2), nn.MaxPool2d(2)

        def forward(self, x):  # [n, 28, 28]; whet flattens height first, channels last
            x = self.p1(self.r1(self.c1(x[:, None])))
            x = self.p2(self.r2(self.c2(x)))
            return self.d2(self.r3(self.d1(x.permute(0, 2, 3, 1).flatten(1))))

    m = Net().eval()
    with torch.no_grad():
        for layer, name in ((m.c1, "conv1"), (m.c2, "conv2"), (m.d1, "dense1"), (m.d2, "dense2")):
            w = c[name + "/weights"]
            layer.weight.copy_(w.permute(0, 3, 1, 2) if w.ndim == 4 else w)
            layer.bias.copy_(c[name + "/bias"])
    return m, torch.tensor(raw("x.f32", -1, 28, 28)), torch.tensor(load("class.json"))


def explain():
    m, x, y = torch_cnn()
    m, x = m.double(), x.double()
    from captum.attr import InputXGradient, IntegratedGradients, Occlusion

    ig = IntegratedGradients(m).attribute(x, target=y, n_steps=int(sys.argv[3]), method="riemann_middle")
    oc = Occlusion(m).attribute(x, (4, 4), strides=(2, 2), target=y)
    return [a.detach().reshape(len(x), -1).tolist() for a in (InputXGradient(m).attribute(x, target=y), ig, oc)]


def attack():
    import torch

    m, x, y = torch_cnn()
    epsilon, step, steps = float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])

    def run(step, steps):
        z = x.clone()
        for _ in range(steps):
            z.requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(m(z), y, reduction="sum")
            (g,) = torch.autograd.grad(loss, z)
            z = (x + (z.detach() + step * g.sign() - x).clamp(-epsilon, epsilon)).clamp(0, 1)
        return float((m(z).argmax(1) == y).double().mean())

    return {"clean": run(0, 0), "fgsm": run(epsilon, 1), "pgd": run(step, steps)}


def privacy():
    import dp_accounting
    from absl import logging
    from dp_accounting import rdp

    logging.set_verbosity(logging.ERROR)  # it says which orders it leaves out
    out = []
    for g in load("grants.json"):
        a = rdp.RdpAccountant()
        a.compose(dp_accounting.PoissonSampledDpEvent(g["Rate"], dp_accounting.GaussianDpEvent(g["Noise"])), g["Steps"])
        out.append(a.get_epsilon(g["Delta"]))
    return out


print(json.dumps({f.__name__: f for f in (cnn, edit, tables, lstm, explain, attack, privacy)}[sys.argv[2]]()))
