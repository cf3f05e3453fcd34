#!/usr/bin/env python3
"""Trains the demo's base network and writes it as an int8 TFLite model.

The network sees classes 0 to 7 of Fashion-MNIST's 60,000 training images only:
classes 8 (bag) and 9 (ankle boot) are what `whet demo` learns on the device.

    board/demo/train.py fashion8.tflite

README.md has the commands around this one. Needs ten minutes on two cores.
Seeds are fixed; another TensorFlow or another CPU may still round differently,
so the committed model is the reference.
"""

import gzip
import os
import sys

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # its sums depend on the CPU
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf

DATA = "/usr/share/datasets/fashion-mnist"
OLD = 8  # classes 0..7 are learned here
EPOCHS = 10


def load(part):
    """Returns images [n,28,28,1] uint8 and labels [n] of 'train' or 't10k'."""
    with gzip.open(f"{DATA}/{part}-images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    with gzip.open(f"{DATA}/{part}-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)
    return x, y


def network():
    """The CNN of the demo. Dropout exists in training only."""
    layers = tf.keras.layers
    return tf.keras.Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.25),
        layers.Dense(128, activation="relu"),
        layers.Dropout(0.25),
        layers.Dense(OLD, activation="softmax"),
    ])


def quantize(net, samples):
    """Converts the network to int8 with int8 input and output.

    samples are real-valued images that show the converter the ranges.
    """
    one = tf.keras.models.clone_model(net, input_tensors=tf.keras.Input((28, 28, 1), batch_size=1))
    one.set_weights(net.get_weights())
    conv = tf.lite.TFLiteConverter.from_keras_model(one)
    conv.optimizations = [tf.lite.Optimize.DEFAULT]
    conv.representative_dataset = lambda: ([s[None]] for s in samples)
    conv.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    conv.inference_input_type = tf.int8
    conv.inference_output_type = tf.int8
    return conv.convert()


def accuracy(model, x, y):
    """Returns the share of images that the TFLite model names rightly."""
    interp = tf.lite.Interpreter(model_content=model)
    interp.allocate_tensors()
    i, o = interp.get_input_details()[0], interp.get_output_details()[0]
    scale, zero = i["quantization"]
    right = 0
    for image, label in zip(x, y):
        q = np.clip(np.rint(image / scale + zero), -128, 127).astype(np.int8)
        interp.set_tensor(i["index"], q[None])
        interp.invoke()
        right += int(np.argmax(interp.get_tensor(o["index"])) == label)
    return right / len(y)


def main():
    out = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
    tf.keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()

    x, y = load("train")
    x, y = x[y < OLD].astype(np.float32) / 255, y[y < OLD]
    net = network()
    net.compile(tf.keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    net.fit(x, y, batch_size=128, epochs=EPOCHS, verbose=2)

    model = quantize(net, x[:500])
    with open(out, "wb") as f:
        f.write(model)
    xt, yt = load("t10k")
    xt, yt = xt[yt < OLD].astype(np.float32) / 255, yt[yt < OLD]
    print(f"{out}: {len(model)} bytes, {accuracy(model, xt, yt):.4f} of {len(yt)} test images of classes 0 to {OLD - 1}")


if __name__ == "__main__":
    main()
