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


print(json.dumps({f.__name__: f for f in (cnn,)}[sys.argv[2]]()))
