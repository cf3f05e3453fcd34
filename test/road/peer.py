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


def cnn():
    threads(2)
    import keras
    from keras import layers

    epochs = int(sys.argv[3])
    x, y = raw("train.x", -1, 28, 28, 1), raw("train.y", -1).astype(int)
    tx, ty = raw("test.x", -1, 28, 28, 1), raw("test.y", -1).astype(int)
    inp = layers.Input((28, 28, 1))
    t = layers.Conv2D(32, 3, activation="relu", name="conv1")(inp)
    t = layers.MaxPooling2D()(t)
    t = layers.Conv2D(64, 3, activation="relu", name="conv2")(t)
    t = layers.MaxPooling2D()(t)
    t = layers.Flatten()(t)
    hidden = layers.Dense(128, activation="relu", name="dense1")(t)
    m = keras.Model(inp, layers.Dense(10, activation="softmax", name="dense2")(hidden))
    set_layers(m, constants("weights.json"), ["conv1", "conv2", "dense1", "dense2"])
    m.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    begin = time.time()
    m.fit(x, y, epochs=epochs, validation_split=0.1, shuffle=False, verbose=0)
    seconds = time.time() - begin
    accuracy = float((m.predict(tx, verbose=0).argmax(1) == ty).mean())

    end = keras.Model(inp, layers.Dense(10, activation="sigmoid", name="end")(hidden))
    set_layers(end, constants("end.json"), ["end"])
    for name in ("conv1", "conv2"):
        end.get_layer(name).trainable = False
    end.compile("adam", "binary_crossentropy")
    n = len(x) * 9 // 10
    end.fit(1 - x[:n], np.eye(10, dtype="f")[y[:n]], epochs=5, shuffle=False, verbose=0)
    tuned = float((end.predict(1 - tx, verbose=0).argmax(1) == ty).mean())
    return {"accuracy": accuracy, "seconds": seconds, "tuned": tuned}


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



print(json.dumps({f.__name__: f for f in (cnn, tables)}[sys.argv[2]]()))
