#!/usr/bin/env python3
"""Makes models.zip: small Keras models, one a layer and option, and what Keras
computes with them.

    pip install keras tensorflow-cpu        # Keras 3: models 3/NAME.keras and 3/NAME.h5
    python3 make.py
    pip install tf_keras                    # Keras 2: models 2/NAME.h5 are added
    python3 make.py --keras2
    python3 make.py [--keras2] --add        # only models that the file does not have yet

Weights and inputs are random, with a fixed seed. Beside each model are
NAME.in0.npy, ... and NAME.out0.npy, ... in the order of its inputs and outputs.
"""

import io
import os
import sys
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np

KERAS2 = "--keras2" in sys.argv
ADD = "--add" in sys.argv
if KERAS2:
    import tensorflow as tf
    import tf_keras as keras
else:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    from keras import ops
L = keras.layers


def seq(shape, *layers):
    return keras.Sequential([keras.Input(shape), *layers])


def fun(shapes, f):
    ins = [keras.Input(s) for s in shapes]
    return keras.Model(ins, f(*ins))


def rnn_state(layer, shape):
    return fun([shape], lambda x: layer(x))


def encoder_decoder():
    a, b = keras.Input((5, 3)), keras.Input((4, 3))
    _, h, c = L.LSTM(6, return_state=True)(a)
    y = L.LSTM(6, return_sequences=True)(b, initial_state=[h, c])
    return keras.Model([a, b], L.Dense(2)(y))


def padded(layer, x):
    """The layer on a sequence some of whose steps are zeros and hidden."""
    return layer(L.Masking()(L.ReLU(threshold=0.9)(x)))


def masked(f):
    a, b = keras.Input((6,), dtype="int32"), keras.Input((6,), dtype="int32")
    return keras.Model([a, b], f(L.Embedding(9, 4, mask_zero=True)(a), L.Embedding(9, 4, mask_zero=True)(b)))


def attention_mask():
    q, v, m = keras.Input((5, 6)), keras.Input((7, 4)), keras.Input((5, 7), dtype="bool")
    return keras.Model([q, v, m], L.MultiHeadAttention(2, 3)(q, v, attention_mask=m))


def masked_scores():
    a, b = keras.Input((4, 5)), keras.Input((4, 5), dtype="bool")
    return keras.Model([a, b], L.Softmax()(a, mask=b))


def shared():
    a, b = keras.Input((6,)), keras.Input((6,))
    d = L.Dense(5, activation="tanh")
    return keras.Model([a, b], L.Concatenate()([d(a), d(b), d(L.Dense(6)(a))]))


def nested(trainable=True):
    inner = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()], name="inner")
    x0 = keras.Input((8, 8, 4))
    deep = keras.Model(x0, [L.GlobalAveragePooling2D()(x0), L.Conv2D(2, 1)(L.BatchNormalization()(x0))], name="deep")
    inner.trainable = trainable
    x = keras.Input((10, 10, 3))
    y = L.ZeroPadding2D(1)(L.Cropping2D(2)(x))
    a, b = deep(L.ZeroPadding2D(1)(inner(y)))
    return keras.Model(x, [L.Dense(3)(a), b])


def twice():
    m = keras.Sequential([keras.Input((4,)), L.Dense(4, activation="relu")], name="block")
    a, b = keras.Input((4,)), keras.Input((4,))
    return keras.Model([a, b], L.Subtract()([m(a), m(m(b))]))


def residual():
    x = keras.Input((12, 12, 4))
    y = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    y = L.ReLU(6.0)(L.BatchNormalization(scale=False)(y))
    y = L.Conv2D(8, 3, padding="same")(y)
    y = L.BatchNormalization(center=False)(y)
    s = L.Conv2D(8, 1, strides=2)(x)
    y = L.Activation("relu")(L.Add()([y, s]))
    return keras.Model(x, L.Dense(3, activation="softmax")(L.Flatten()(y)))


def transformer():
    ids = keras.Input((7,), dtype="int32")
    x = L.Embedding(11, 8)(ids)
    x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
    y = L.Dense(8)(L.Dense(16, activation="gelu")(x))
    x = L.LayerNormalization(epsilon=1e-6)(L.Add()([x, L.Dropout(0.1)(y)]))
    return keras.Model(ids, L.Dense(2)(L.GlobalAveragePooling1D()(x)))


def named():
    a, b = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    return keras.Model({"left": a, "right": b}, {"sum": L.Add(name="sum")([a, b]), "first": L.Dense(2, name="first")(a)})


MODELS = {
    "dense": lambda: seq((5,), L.Dense(4)),
    "dense_nobias": lambda: seq((3, 5), L.Dense(4, use_bias=False, activation="relu")),
    "conv1d": lambda: seq((9, 3), L.Conv1D(4, 3, strides=2, padding="same")),
    "conv1d_causal": lambda: seq((9, 3), L.Conv1D(4, 3, dilation_rate=2, padding="causal", activation="tanh")),
    "conv2d_valid": lambda: seq((8, 7, 3), L.Conv2D(4, (3, 2), strides=(2, 1))),
    "conv2d_same": lambda: seq((8, 7, 3), L.Conv2D(4, 4, strides=2, padding="same", activation="sigmoid")),
    "conv2d_dilated": lambda: seq((8, 7, 3), L.Conv2D(4, 3, dilation_rate=2, padding="same")),
    "conv2d_groups": lambda: seq((6, 6, 4), L.Conv2D(6, 3, groups=2)),
    "conv3d": lambda: seq((5, 6, 7, 2), L.Conv3D(3, (2, 3, 3), strides=(2, 1, 2), padding="same")),
    "conv3d_valid": lambda: seq((5, 6, 7, 2), L.Conv3D(3, 2, activation="relu")),
    "depthwise1d": lambda: seq((9, 3), L.DepthwiseConv1D(3, padding="same")),
    "depthwise2d": lambda: seq((7, 6, 3), L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2)),
    "separable1d": lambda: seq((9, 3), L.SeparableConv1D(4, 3, padding="same")),
    "separable2d": lambda: seq((7, 6, 3), L.SeparableConv2D(4, 3, depth_multiplier=2, activation="relu")),
    "conv1d_transpose": lambda: seq((5, 3), L.Conv1DTranspose(4, 3, strides=2, padding="same")),
    "conv2d_transpose_valid": lambda: seq((4, 5, 3), L.Conv2DTranspose(2, 3, strides=2)),
    "conv2d_transpose_same": lambda: seq((4, 5, 3), L.Conv2DTranspose(2, (4, 3), strides=(2, 3), padding="same", activation="relu")),
    "conv2d_transpose_gap": lambda: seq((4, 5, 3), L.Conv2DTranspose(2, 2, strides=3)),
    "conv2d_transpose_extra": lambda: seq((4, 5, 3), L.Conv2DTranspose(2, 3, strides=2, padding="same", output_padding=1)),
    "conv3d_transpose": lambda: seq((3, 3, 4, 2), L.Conv3DTranspose(2, 2, strides=2)),
    "maxpool1d": lambda: seq((9, 3), L.MaxPooling1D(3, strides=2, padding="same")),
    "maxpool2d": lambda: seq((9, 8, 3), L.MaxPooling2D((3, 2), padding="same")),
    "maxpool3d": lambda: seq((5, 6, 7, 2), L.MaxPooling3D(2, strides=2, padding="same")),
    "avgpool1d": lambda: seq((9, 3), L.AveragePooling1D(2)),
    "avgpool2d": lambda: seq((9, 8, 3), L.AveragePooling2D(3, strides=2, padding="same")),
    "avgpool3d": lambda: seq((5, 6, 7, 2), L.AveragePooling3D(3, strides=2, padding="same")),
    "globalavg1d": lambda: seq((9, 3), L.GlobalAveragePooling1D()),
    "globalavg2d": lambda: seq((9, 8, 3), L.GlobalAveragePooling2D(keepdims=True)),
    "globalavg3d": lambda: seq((3, 4, 5, 2), L.GlobalAveragePooling3D()),
    "globalmax1d": lambda: seq((9, 3), L.GlobalMaxPooling1D()),
    "globalmax2d": lambda: seq((9, 8, 3), L.GlobalMaxPooling2D()),
    "batchnorm_alone": lambda: seq((4, 5, 3), L.BatchNormalization()),
    "batchnorm_dense": lambda: seq((5,), L.Dense(4), L.BatchNormalization(center=False), L.Activation("relu")),
    "batchnorm_axis": lambda: seq((4, 5, 3), L.BatchNormalization(axis=1)),
    "layernorm": lambda: seq((4, 6), L.LayerNormalization()),
    "layernorm_axes": lambda: seq((4, 6, 3), L.LayerNormalization(axis=(2, 3), center=False)),
    "groupnorm": lambda: seq((4, 5, 6), L.GroupNormalization(3)),
    "instancenorm": lambda: seq((4, 5, 6), L.GroupNormalization(-1)),
    "unitnorm": lambda: seq((4, 6), L.UnitNormalization()),
    "dropout": lambda: seq((6,), L.Dense(4), L.Dropout(0.5), L.GaussianNoise(0.1), L.GaussianDropout(0.1), L.ActivityRegularization(0.1), L.Dense(2)),
    "spatial_dropout": lambda: seq((6, 4), L.SpatialDropout1D(0.5), L.Flatten()),
    "flatten": lambda: seq((3, 4, 2), L.Flatten()),
    "reshape": lambda: seq((3, 4, 2), L.Reshape((-1, 6))),
    "permute": lambda: seq((3, 4, 2), L.Permute((3, 1, 2))),
    "repeat_vector": lambda: seq((4,), L.RepeatVector(3)),
    "cropping": lambda: seq((8, 9, 2), L.Cropping2D(((1, 2), (0, 3)))),
    "cropping1d3d": lambda: seq((8, 9, 7, 2), L.Cropping3D(2), L.Reshape((-1, 2)), L.Cropping1D((1, 3))),
    "zero_padding": lambda: seq((4, 5, 2), L.ZeroPadding2D(((1, 2), (0, 3)))),
    "zero_padding1d3d": lambda: seq((4, 5, 2, 3), L.ZeroPadding3D((1, 0, 2)), L.Reshape((-1, 3)), L.ZeroPadding1D(2)),
    "upsampling1d": lambda: seq((4, 3), L.UpSampling1D(3)),
    "upsampling2d": lambda: seq((4, 5, 3), L.UpSampling2D((2, 3))),
    "upsampling2d_bilinear": lambda: seq((4, 5, 3), L.UpSampling2D(2, interpolation="bilinear")),
    "upsampling3d": lambda: seq((2, 3, 4, 2), L.UpSampling3D(2)),
    "resizing": lambda: seq((7, 5, 3), L.Resizing(10, 4), L.Resizing(5, 9, interpolation="nearest")),
    "center_crop": lambda: seq((7, 8, 3), L.CenterCrop(4, 3)),
    "rescaling": lambda: seq((4, 5, 3), L.Rescaling(1 / 127.5, offset=-1.0)),
    "normalization": lambda: adapted(L.Normalization(), (4, 3)),
    "normalization_given": lambda: seq((4, 3), L.Normalization(mean=[1.0, 2.0, 3.0], variance=[2.0, 3.0, 4.0])),
    "embedding": lambda: embedding((6,), L.Embedding(9, 4)),
    "lstm": lambda: seq((6, 3), L.LSTM(5)),
    "lstm_sequences": lambda: seq((6, 3), L.LSTM(5, return_sequences=True, go_backwards=True, use_bias=False)),
    "lstm_state": lambda: rnn_state(L.LSTM(5, return_sequences=True, return_state=True), (6, 3)),
    "lstm_relu": lambda: seq((4, 3), L.LSTM(5, activation="relu", recurrent_activation="hard_sigmoid", return_sequences=True)),
    "lstm_relu_backwards": lambda: seq((4, 3), L.LSTM(5, activation="relu", go_backwards=True, return_sequences=True)),
    "gru": lambda: seq((6, 3), L.GRU(5, return_sequences=True)),
    "gru_before": lambda: seq((6, 3), L.GRU(5, reset_after=False)),
    "gru_relu": lambda: seq((4, 3), L.GRU(5, activation="relu")),
    "gru_before_relu": lambda: seq((4, 3), L.GRU(5, activation="elu", reset_after=False, return_sequences=True)),
    "simple_rnn": lambda: seq((6, 3), L.SimpleRNN(5, return_sequences=True), L.SimpleRNN(4, go_backwards=True)),
    "simple_rnn_relu": lambda: seq((6, 3), L.SimpleRNN(5, activation="relu")),
    "rnn_cell": lambda: seq((6, 3), L.RNN(L.LSTMCell(4), return_sequences=True), L.RNN(L.GRUCell(3))),
    "bidirectional": lambda: seq((6, 3), L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Bidirectional(L.GRU(3), merge_mode="sum")),
    "bidirectional_parts": lambda: seq((6, 3), L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="ave"), L.Bidirectional(L.SimpleRNN(3), merge_mode="mul")),
    "bidirectional_other": lambda: seq((6, 3), L.Bidirectional(L.LSTM(4, return_sequences=True), backward_layer=L.GRU(3, return_sequences=True, go_backwards=True))),
    "bidirectional_state": lambda: rnn_state(L.Bidirectional(L.LSTM(4, return_state=True)), (6, 3)),
    "encoder_decoder": encoder_decoder,
    "time_distributed": lambda: seq((3, 6, 5, 2), L.TimeDistributed(L.Conv2D(3, 3, activation="relu")), L.TimeDistributed(L.Flatten()), L.TimeDistributed(L.Dense(4))),
    "multi_head": lambda: fun([(5, 6)], lambda x: L.MultiHeadAttention(2, 3, value_dim=4)(x, x)),
    "multi_head_cross": lambda: fun([(5, 6), (7, 4)], lambda q, v: L.MultiHeadAttention(3, 2, use_bias=False, output_shape=5)(q, v)),
    "multi_head_causal": lambda: fun([(5, 6)], lambda x: L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)),
    "attention": lambda: fun([(5, 6), (7, 6)], lambda q, v: L.Attention()([q, v])),
    "attention_scaled": lambda: fun([(5, 6), (7, 6), (7, 6)], lambda q, v, k: L.Attention(use_scale=True)([q, v, k])),
    "attention_concat": lambda: fun([(5, 6), (7, 6)], lambda q, v: L.Attention(score_mode="concat", use_scale=True)([q, v])),
    "additive_attention": lambda: fun([(5, 6), (7, 6)], lambda q, v: L.AdditiveAttention()([q, v])),
    "einsum_dense": lambda: seq((5, 6), L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), bias_axes="de"), L.EinsumDense("abde,def->abf", output_shape=(None, 4))),
    "add": lambda: fun([(4, 3)] * 3, lambda *x: L.Add()(list(x))),
    "subtract": lambda: fun([(4, 3)] * 2, lambda *x: L.Subtract()(list(x))),
    "multiply": lambda: fun([(4, 3), (1, 3)], lambda *x: L.Multiply()(list(x))),
    "average": lambda: fun([(4, 3)] * 3, lambda *x: L.Average()(list(x))),
    "max_min": lambda: fun([(4, 3)] * 3, lambda a, b, c: L.Minimum()([L.Maximum()([a, b]), c])),
    "concatenate": lambda: fun([(4, 3), (4, 2)], lambda *x: L.Concatenate()(list(x))),
    "concatenate_axis": lambda: fun([(4, 3), (2, 3)], lambda *x: L.Concatenate(axis=1)(list(x))),
    "dot": lambda: fun([(4, 3), (5, 3)], lambda *x: L.Dot(axes=2)(list(x))),
    "dot_vectors": lambda: fun([(4,), (4,)], lambda *x: L.Dot(axes=1, normalize=True)(list(x))),
    "activations": lambda: fun([(7,)], lambda x: [L.Activation(a)(x) for a in ["relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign", "swish", "gelu", "exponential", "hard_sigmoid", "linear"]]),
    "leaky_relu": lambda: seq((7,), L.LeakyReLU(0.1), L.Dense(4, activation="leaky_relu")),
    "prelu": lambda: seq((4, 5, 3), L.PReLU(shared_axes=[1, 2]), L.PReLU()),
    "elu": lambda: seq((7,), L.ELU(0.7)),
    "relu_options": lambda: seq((40,), L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.5)),
    "relu_limit": lambda: seq((40,), L.ReLU(max_value=0.8, threshold=0.2)),
    "softmax_axis": lambda: seq((4, 5), L.Softmax(axis=1)),
    "shared": shared,
    "nested": nested,
    "nested_frozen": lambda: nested(False),
    "twice": twice,
    "residual": residual,
    "transformer": transformer,
    "named": named,
    "masking_lstm": lambda: fun([(6, 3)], lambda x: padded(L.LSTM(5), x)),
    "masking_lstm_all": lambda: fun([(6, 3)], lambda x: L.LSTM(5)(L.Masking()(L.Rescaling(0.0)(x)))),
    "masking_lstm_sequences": lambda: fun([(6, 3)], lambda x: padded(lambda h: L.Dense(2)(L.LSTM(5, return_sequences=True)(h)), x)),
    "masking_lstm_backwards": lambda: fun([(6, 3)], lambda x: padded(L.LSTM(5, return_sequences=True, go_backwards=True), x)),
    "masking_lstm_relu": lambda: fun([(6, 3)], lambda x: padded(L.LSTM(5, activation="relu", return_sequences=True, return_state=True), x)),
    "masking_gru": lambda: fun([(6, 3)], lambda x: padded(lambda h: L.GRU(4)(L.Dropout(0.1)(L.GRU(5, return_sequences=True)(h))), x)),
    "masking_rnn_zeroed": lambda: fun([(6, 3)], lambda x: padded(L.RNN(L.SimpleRNNCell(4), return_sequences=True, zero_output_for_mask=True), x)),
    "masking_bidirectional": lambda: fun([(6, 3)], lambda x: padded(lambda h: L.Bidirectional(L.GRU(3))(L.Bidirectional(L.LSTM(4, return_sequences=True))(h)), x)),
    "masking_decoder": lambda: masked(lambda x, y: L.LSTM(3, return_sequences=True)(y, initial_state=list(L.LSTM(3, return_state=True)(x))[1:])),
    "masking_value": lambda: fun([(6, 3)], lambda x: L.GlobalAveragePooling1D()(L.Masking(0.0)(L.ReLU(threshold=0.6)(x)))),
    "masked_pooling": lambda: masked(lambda x, y: [L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(y)]),
    "masked_merge": lambda: masked(lambda x, y: [L.GlobalAveragePooling1D()(L.Add()([x, y])), L.GlobalAveragePooling1D()(L.Average()([x, y]))]),
    "masked_concat": lambda: masked(lambda x, y: [L.GlobalAveragePooling1D()(L.Concatenate()([x, y])), L.LSTM(4)(L.Concatenate(axis=1)([x, y]))]),
    "masked_dropped": lambda: masked(lambda x, y: [L.GlobalAveragePooling1D()(L.Reshape((6, 4))(x)), L.GlobalAveragePooling1D()(L.Conv1D(3, 2)(y))]),
    "masked_attention": lambda: masked(lambda x, y: L.Attention()([x, y])),
    "masked_additive": lambda: masked(lambda x, y: L.AdditiveAttention()([x, y])),
    "masked_multi_head": lambda: masked(lambda x, y: L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3)(x, y))),
    "multi_head_mask": lambda: attention_mask(),
    "multi_head_key": lambda: fun([(5, 6), (7, 4), (7, 3)], lambda q, v, k: L.MultiHeadAttention(2, 3, value_dim=5, use_bias=False)(q, v, key=k)),
    "multi_head_scores": lambda: fun([(5, 6)], lambda x: L.MultiHeadAttention(2, 3, dropout=0.1)(x, x, return_attention_scores=True)),
    "convlstm1d": lambda: seq((4, 6, 2), L.ConvLSTM1D(3, 2, padding="same", return_sequences=True)),
    "convlstm2d": lambda: seq((4, 6, 5, 2), L.ConvLSTM2D(3, 3, strides=2, return_sequences=True), L.ConvLSTM2D(2, (1, 2), padding="same", use_bias=False)),
    "convlstm2d_state": lambda: rnn_state(L.ConvLSTM2D(3, 3, padding="same", go_backwards=True, return_sequences=True, return_state=True, activation="relu"), (3, 5, 4, 2)),
    "convlstm3d": lambda: seq((3, 4, 4, 3, 1), L.ConvLSTM3D(2, 2)),
}
ONLY3 = {
    "more_activations": lambda: fun([(7,)], lambda x: [L.Activation(a)(x) for a in ["relu6", "silu", "leaky_relu", "hard_silu", "hard_tanh", "mish", "log_softmax", "log_sigmoid", "celu", "tanh_shrink", "soft_shrink", "hard_shrink", "squareplus", "sparse_sigmoid"]]),
    "rms_norm": lambda: seq((4, 6), L.RMSNormalization()),
    "grouped_query": lambda: fun([(5, 6)], lambda x: L.GroupQueryAttention(3, 4, 2)(x, x)),
    "upsampling_bicubic": lambda: seq((4, 5, 3), L.UpSampling2D(2, interpolation="bicubic")),
    "stateful": lambda: stateful(),
    "masked_multiply": lambda: masked(lambda x, y: L.GlobalAveragePooling1D()(L.Multiply()([x, y]))),
    "masked_softmax": lambda: masked_scores(),
    "multi_head_window": lambda: fun([(7, 6)], lambda x: L.MultiHeadAttention(2, 3, sliding_window=2)(x, x, use_causal_mask=True)),
    "grouped_query_masked": lambda: fun([(5, 6)], lambda x: padded(lambda h: L.GroupQueryAttention(3, 4, 2)(h, h), x)),
    "ops_arithmetic": lambda: fun([(4, 3), (4, 3)], lambda x, y: ops.sigmoid(x * 2 + y - 1) / ops.maximum(ops.abs(y), 0.1) - (1.0 - ops.square(x) ** 0.5) * ops.exp(-ops.clip(y, -1.0, 0.5))),
    "ops_shape": lambda: fun([(4, 3)], lambda x: ops.concatenate([ops.transpose(ops.reshape(x, (-1, 3, 4)), (0, 2, 1)), ops.expand_dims(x[:, :, 0], -1), x[..., 1:], ops.squeeze(x[:, :, None, ::2], 2), ops.stack([x[:, :, 1], x[:, :, -1]], axis=-1)], axis=-1)),
    "ops_reduce": lambda: fun([(4, 3)], lambda x: [ops.mean(x, axis=-1), ops.sum(x, axis=(1, 2), keepdims=True), ops.max(x, axis=1), ops.matmul(ops.softmax(x, axis=1), ops.transpose(x, (0, 2, 1))), ops.normalize(x)]),
    "ops_more": lambda: fun([(4, 3), (4, 3)], lambda x, y: [ops.where(x > y, x, ops.zeros_like(y)), ops.cast(ops.cast(x > 0.0, "float32"), "float32"), ops.gelu(x), ops.gelu(x, approximate=False), ops.leaky_relu(x), ops.elu(y), x * np.arange(3.0, dtype="f4")]),
}
ONLY2 = {
    "tf_ops": lambda: fun([(4, 3), (4, 3)], lambda x, y: (1.0 - tf.nn.sigmoid(x * 2.0 + y)) / tf.maximum(tf.abs(y), 0.1) - tf.square(x)),
    "tf_shape": lambda: fun([(4, 3)], lambda x: tf.concat([tf.transpose(tf.reshape(x, (-1, 3, 4)), (0, 2, 1)), tf.expand_dims(x[:, :, 0], -1), x[..., 1:], tf.reduce_mean(x, axis=-1, keepdims=True)], axis=-1)),
    "thresholded_relu": lambda: seq((40,), L.ThresholdedReLU(0.4)),
}


def adapted(layer, shape):
    layer.adapt(np.random.default_rng(5).normal(2, 3, (20, *shape)).astype("f4"))
    return seq(shape, layer)


def embedding(shape, layer):
    x = keras.Input(shape, dtype="int32")
    return keras.Model(x, layer(x))


def stateful():
    x = keras.Input(batch_shape=(1, 3, 2))
    m = keras.Model(x, L.GRU(4, stateful=True)(L.LSTM(4, stateful=True, return_sequences=True)(x)))
    return m


def randomize(model, rng):
    values = []
    for v in model.weights:
        x = rng.uniform(-0.6, 0.6, v.shape)
        if "variance" in v.name:
            x = rng.uniform(0.3, 1.5, v.shape)
        values.append(x.astype("f4"))
    if not any("count" in v.name for v in model.weights):
        model.set_weights(values)


def add(z, name, data):
    z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)


def npy(x):
    b = io.BytesIO()
    np.save(b, np.ascontiguousarray(x))
    return b.getvalue()


def write(z, prefix, name, make, formats):
    keras.utils.set_random_seed(1)
    model = make()
    rng = np.random.default_rng(len(name) * 1000 + sum(map(ord, name)))
    randomize(model, rng)
    runs = 3 if name == "stateful" else 1
    top = 3 if "mask" in name else 9  # zeros are what a mask hides
    ins = [[rng.integers(0, top, (1, *t.shape[1:])).astype("i4") if "int" in str(t.dtype) else rng.random((1, *t.shape[1:])) < 0.6 if "bool" in str(t.dtype) else rng.normal(0, 1, (1, *t.shape[1:])).astype("f4") for t in model.inputs] for _ in range(runs)]
    outs = []
    for x in ins:
        y = model({"left": x[0], "right": x[1]} if name == "named" else x if len(x) > 1 else x[0], training=False)
        if isinstance(y, dict):
            y = [y[k] for k in sorted(y)]
        outs.append([np.asarray(v) for v in (y if isinstance(y, (list, tuple)) else [y])])
    if name == "stateful":
        for l in model.layers:
            if hasattr(l, "reset_states"):
                l.reset_states()
    with tempfile.TemporaryDirectory() as d:
        for f in formats:
            path = os.path.join(d, "m." + f)
            model.save(path)
            with open(path, "rb") as r:
                add(z, f"{prefix}/{name}.{f}", r.read())
    for i in range(len(ins[0])):
        add(z, f"{prefix}/{name}.in{i}.npy", npy(np.concatenate([x[i] for x in ins])))
    for i in range(len(outs[0])):
        add(z, f"{prefix}/{name}.out{i}.npy", npy(np.concatenate([y[i] for y in outs])))


def main():
    import warnings

    warnings.simplefilter("ignore")
    models = MODELS | (ONLY2 if KERAS2 else ONLY3)
    keep = {}
    if KERAS2 or ADD:
        with zipfile.ZipFile("models.zip") as z:
            keep = {n: z.read(n) for n in z.namelist() if ADD or n.startswith("3/")}
    old = {n.split("/")[1].split(".")[0] for n in keep if n.startswith("2/" if KERAS2 else "3/")}
    models = {n: m for n, m in models.items() if not (ADD and n in old)}
    with zipfile.ZipFile("models.zip", "w") as z:
        for n, data in keep.items():
            add(z, n, data)
        for name, make in models.items():
            try:
                write(z, "2" if KERAS2 else "3", name, make, ["h5"] if KERAS2 else ["keras", "h5"])
            except Exception as e:  # a layer that this version does not have
                print(name, type(e).__name__, str(e).splitlines()[0], file=sys.stderr)


main()
