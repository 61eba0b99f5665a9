import ast
import io
import math
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import two_layer_net
from gradient_check import check_gradients, example
from two_layer_net import ACTIVATIONS, CRITERIA, OPTIMIZERS, TwoLayerNet, optimizer_step

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40)
NAMES = ["W1", "b1", "W2", "b2"]


def data(N=12, D=4, C=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, D)), np.arange(N) % C


def same(a, b):
    """Two dicts of arrays have the same bits."""
    return list(a) == list(b) and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes() for k in a
    )


def copies(params):
    return {name: w.copy() for name, w in params.items()}


def global_state():
    kind, keys, *rest = np.random.get_state()
    return kind, keys.tobytes(), *rest


# ---- loss and gradients


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients(activation, criterion, dropout):
    for reg in (0.0, 0.3):
        net, X, y = example(activation, criterion, dropout, seed=3)
        errors = check_gradients(net, X, y, reg, h=1e-3)
        assert list(errors) == NAMES
        assert max(errors.values()) < 1e-7


def reference(params, X, y, activation, criterion, leak=0.01):
    """Scores, loss and gradients by the formulas of the textbooks."""
    Z = X @ params["W1"] + params["b1"]
    sigmoid = 1 / (1 + np.exp(-Z))
    A, slope = {
        "relu": (np.where(Z > 0, Z, 0), Z > 0),
        "leaky_relu": (np.where(Z > 0, Z, leak * Z), np.where(Z > 0, 1, leak)),
        "tanh": (np.tanh(Z), 1 - np.tanh(Z) ** 2),
        "sigmoid": (sigmoid, sigmoid * (1 - sigmoid)),
    }[activation]
    S = A @ params["W2"] + params["b2"]
    P, (N, C) = np.exp(S), S.shape
    P /= P.sum(axis=1, keepdims=True)
    Y = np.eye(C)[y]
    if criterion == "softmax":
        loss, dS = -np.log(P[Y == 1]).mean(), (P - Y) / N
    else:
        dP = 2 * (P - Y) / (N * C)
        loss, dS = ((P - Y) ** 2).mean(), P * (dP - (P * dP).sum(axis=1, keepdims=True))
    dZ = dS @ params["W2"].T * slope
    return S, loss, {"W1": X.T @ dZ, "b1": dZ.sum(axis=0), "W2": A.T @ dS, "b2": dS.sum(axis=0)}


@SETTINGS
@given(
    st.sampled_from(ACTIVATIONS),
    st.sampled_from(CRITERIA),
    st.tuples(*[st.integers(1, 6)] * 4),
    st.floats(0, 0.9),
    st.integers(0, 99),
)
def test_loss_and_gradients_by_the_formulas(activation, criterion, sizes, leak, seed):
    N, D, H, C = sizes
    net = TwoLayerNet(D, H, C, "normal", activation=activation, criterion=criterion, leak=leak, rng=seed)
    X, y = data(N, D, C, seed)
    S, loss, grads = reference(net.params, X, y, activation, criterion, leak)
    np.testing.assert_allclose(net.loss(X), S, rtol=1e-12, atol=1e-13)
    for reg in (0.0, 0.7):
        W = net.params["W1"], net.params["W2"]
        found, found_grads = net.loss(X, y, reg)
        assert type(found) is float
        assert found == pytest.approx(loss + reg * sum((w**2).sum() for w in W), rel=1e-11, abs=1e-14)
        assert list(found_grads) == NAMES
        for name, grad in grads.items():
            grad = grad + 2 * reg * net.params[name] * name.startswith("W")
            np.testing.assert_allclose(found_grads[name], grad, rtol=1e-9, atol=1e-13)


def test_relu_slope_is_zero_at_zero():
    net = TwoLayerNet(1, 2, 2, "zeros")
    net.params["W2"] += [[1.0, 2.0]]
    grads = net.loss([[1.0]], [0])[1]
    assert not grads["W1"].any() and not grads["b1"].any()
    assert grads["b2"].tolist() == [-0.5, 0.5]


def scored(scores, criterion="softmax", dtype=np.float64):
    """A net whose scores are these for every X, of one number a row."""
    net = TwoLayerNet(1, 1, len(scores), "zeros", criterion=criterion, dtype=dtype)
    net.params["b2"] = np.array(scores)
    return net


@SETTINGS
@given(
    st.lists(st.floats(-1e5, 1e5) | st.floats(-60, 60) | st.sampled_from([0.0, 1e4, 1e300]), min_size=2),
    st.integers(0, 999),
    st.sampled_from(["float64", "float32"]),
)
def test_softmax_of_any_scores(scores, y, dtype):
    if dtype == "float32":
        scores = [float(np.float32(min(s, 1e30))) for s in scores]
    y %= len(scores)
    loss, grads = scored(scores, dtype=dtype).loss([[0.0]], [y])
    top = max(scores)
    shifted = [s - top for s in scores]
    wrong = math.fsum(math.exp(s) for j, s in enumerate(shifted) if j != y)  # exact where p_y is close to 1
    total = wrong + math.exp(shifted[y])
    expected = math.log1p(wrong) if shifted[y] == 0 else math.log(total) - shifted[y]
    tolerance = 1e-11 if dtype == "float64" else 2e-4  # a float32 score of 100 is known to 1e-5
    assert loss == pytest.approx(expected, rel=tolerance, abs=0)
    P = [math.exp(s) / total for s in shifted]
    P[y] = -wrong / total
    np.testing.assert_allclose(grads["b2"], P, rtol=max(tolerance, 1e-9), atol=1e-30)


@pytest.mark.parametrize("C", [1, 2, 10])
def test_scores_that_are_all_equal(C):
    for score in (0.0, 1e4, -1e5, 1e-300):
        assert scored([score] * C).loss([[0]], [0])[0] == pytest.approx(math.log(C), abs=1e-15)
        mse = (1 / C - 1) ** 2 / C + (C - 1) / C**3
        loss, grads = scored([score] * C, "mse").loss([[0]], [0])
        assert loss == pytest.approx(mse, abs=1e-15)
        assert abs(grads["b2"].sum()) < 1e-15


def test_mse_of_large_scores():
    for scale in (1e4, 1e6, 1e300):
        loss, grads = scored([scale, 0, 0, -scale], "mse").loss([[0]], [1])
        assert loss == 2 / 4 and not grads["b2"].any()  # sure and wrong: flat in every direction
        assert scored([scale, 0, 0], "mse").loss([[0]], [0])[0] == 0
    t = math.exp(-30)  # two classes: P = 1 / (1 + t) and t / (1 + t), so E**2 = (t / (1 + t))**2 twice
    loss, grads = scored([30, 0], "mse").loss([[0]], [0])
    assert loss == pytest.approx((t / (1 + t)) ** 2, rel=1e-12, abs=0)
    slope = 2 * t * t / (1 + t) ** 3
    np.testing.assert_allclose(grads["b2"], [-slope, slope], rtol=1e-12)


def test_loss_of_a_sure_net_is_not_rounded_to_zero():
    for dtype, rel in ((np.float64, 1e-13), (np.float32, 1e-6)):
        net = scored([40.0, 0.0], dtype=dtype)
        assert net.loss([[0]], [0])[0] == pytest.approx(math.log1p(math.exp(-40)), rel=rel, abs=0)


@pytest.mark.parametrize("z", [0.0, -0.5, 3.0, -3.0, 20.0, -20.0, 40.0, -40.0, 300.0, -300.0])
def test_slopes_of_saturated_units(z):
    t = math.exp(-abs(z))
    for activation, slope in (("tanh", 4 * t * t / (1 + t * t) ** 2), ("sigmoid", t / (1 + t) ** 2)):
        net = TwoLayerNet(1, 1, 2, "zeros", activation=activation)
        net.params.update(W1=np.array([[z]]), W2=np.array([[1.0, -1.0]]))
        a = math.tanh(z) if activation == "tanh" else math.exp(min(z, 0)) / (1 + t)
        np.testing.assert_allclose(net.loss([[1]]), [[a, -a]], rtol=1e-14)
        grads = net.loss([[1]], [0])[1]
        expected = -2 / (1 + math.exp(2 * a)) * slope  # dL/da = (p_0 - 1) - p_1 = -2 p_1
        assert grads["W1"][0, 0] == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_huge_inputs_are_silent(activation):
    net = TwoLayerNet(2, 3, 2, "normal", activation=activation, rng=0)
    X, y = np.array([[1e308, -1e308], [-1e5, 1e5]]), np.array([0, 1])
    net.loss(X)  # an overflow must not warn: warnings are errors here
    net.loss(X, y)
    assert np.isfinite(net.loss(X[1:], y[1:])[0])


# ---- what X may be


def variants():
    base = np.arange(24).reshape(6, 4) % 7
    for kind in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16",
                 "float32", "float64", "longdouble", ">f4", ">i2"):  # fmt: skip
        yield kind, base.astype(kind), base
    yield "bool", base > 3, base > 3
    yield "list", base.tolist(), base
    yield "images", base.reshape(6, 2, 1, 2), base
    yield "columns", base[:, :, None], base
    yield "Fortran", np.asfortranarray(base.astype(float)), base
    yield "Fortran images", np.asfortranarray(base.reshape(6, 2, 2).astype(float)), base
    yield "strided", np.repeat(base.astype(float), 3, axis=0)[::3], base
    yield "reversed", base[::-1].astype(float)[::-1], base
    yield "transposed images", base.reshape(6, 2, 2).transpose(0, 2, 1).astype(float), base[:, [0, 2, 1, 3]]
    yield "broadcast", np.broadcast_to(base[:1].astype(float), (6, 4)), np.repeat(base[:1], 6, axis=0)
    frozen = base.astype(float)
    frozen.flags.writeable = False
    yield "read-only", frozen, base


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("X", "plain"), [pytest.param(X, plain, id=name) for name, X, plain in variants()])
def test_kinds_of_X(X, plain, dtype):
    plain = np.array(plain, dtype, order="C")
    y = np.arange(6) % 3
    y.flags.writeable = False
    before = np.array(X)
    net, other = (TwoLayerNet(4, 5, 3, "he", dropout=0.3, dtype=dtype, rng=0) for _ in range(2))
    assert np.array_equal(net.loss(X), other.loss(plain))
    assert np.array_equal(net.predict(X), other.predict(plain))
    loss, grads = net.loss(X, y, 0.1)
    expected, expected_grads = other.loss(plain, y.tolist(), 0.1)
    assert loss == expected and same(grads, expected_grads)
    for options in ({"num_iters": 5}, {"epochs": 2}):
        history = net.train(X, y, X, y, 0.1, batch_size=4, **options)
        assert history == other.train(plain, y, plain, y, 0.1, batch_size=4, **options)
    assert same(net.params, other.params)
    assert np.array_equal(X, before) and y.tolist() == [0, 1, 2] * 2


def test_one_input_a_row():
    net = TwoLayerNet(1, 3, 2, "he", rng=0)
    assert np.array_equal(net.loss(np.arange(5.0)), net.loss(np.arange(5.0)[:, None]))


@pytest.mark.parametrize("kind", ["int8", "uint8", "uint64", "int64"])
def test_kinds_of_labels(kind):
    net, (X, y) = TwoLayerNet(4, 5, 3, "he", rng=0), data()
    assert net.loss(X, y.astype(kind))[0] == net.loss(X, y)[0]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_float32_stays_float32(optimizer, criterion):
    wide = np.float64  # numpy's own scalars widen a float32 array that they multiply
    X, y = data()
    nets = []
    for number in (float, wide):
        net = TwoLayerNet(4, 5, 3, number(0.1), activation="leaky_relu", leak=number(0.1),
                          dropout=number(0.2), criterion=criterion, dtype="float32", rng=0)  # fmt: skip
        options = {name: number(value) for name, value in OPTIMIZERS[optimizer].items()}
        history = net.train(X, y, X, y, number(0.1), number(0.9), number(0.01), epochs=3, batch_size=5,
                            optimizer=optimizer, **options)  # fmt: skip
        net.train(X, y, X, y, lambda progress: number(0.1), num_iters=3, optimizer=optimizer)  # noqa: B023
        nets.append(net)
        assert all(type(value) is float for values in history.values() for value in values)
        loss, grads = net.loss(X, y, number(0.1))
        assert type(loss) is float and net.loss(X).dtype == np.float32
        assert {w.dtype for w in [*net.params.values(), *grads.values()]} == {np.dtype(np.float32)}
    assert same(nets[0].params, nets[1].params)


def test_float32_and_float64_agree():
    X, y = data(40)
    wide, narrow = (TwoLayerNet(4, 8, 3, "he", dtype=dtype, rng=0) for dtype in (np.float64, np.float32))
    losses = [net.train(X, y, X, y, 0.1, epochs=5, batch_size=8)["loss_history"] for net in (wide, narrow)]
    np.testing.assert_allclose(*losses, rtol=1e-4)


# ---- arrays that belong to others


def test_assigned_parameters_are_not_changed():
    X, y = data()
    arrays = {"W1": np.ones((4, 5)), "b1": np.zeros(5), "W2": np.eye(5, 3), "b2": np.zeros(3)}
    before = copies(arrays)
    for w in arrays.values():
        w.flags.writeable = False
    net = TwoLayerNet(4, 5, 3, rng=0)
    net.params.update(arrays)
    net.train(X, y, X, y, 0.1, epochs=2)
    assert same(arrays, before)
    assert not np.array_equal(net.params["W1"], before["W1"])
    net.params.update(W1=np.asfortranarray(np.arange(20).reshape(4, 5)), b1=[0] * 5)
    net.train(X, y, X, y, 1e-3, epochs=1)
    assert net.params["W1"].dtype == net.params["b1"].dtype == np.float64


def test_answers_are_new_arrays():
    net, (X, y) = TwoLayerNet(4, 5, 3, "he", rng=0), data()
    scores, grads = net.loss(X), net.loss(X, y)[1]
    kept, kept_grads = scores.copy(), copies(grads)
    net.loss(2 * X)
    net.loss(2 * X, y, 1.0)
    net.train(X, y, X, y, 0.1, epochs=1)
    assert np.array_equal(scores, kept) and same(grads, kept_grads)
    grads["W1"][:] = 0
    assert net.loss(X, y)[1]["W1"].any()


# ---- random numbers


def test_global_generator_in_the_courses_order():
    np.random.seed(3)
    net = TwoLayerNet(4, 5, 3, 0.1)
    random = np.random.RandomState(3)
    assert np.array_equal(net.params["W1"], 0.1 * random.randn(4, 5))
    assert np.array_equal(net.params["W2"], 0.1 * random.randn(5, 3))
    X, y = data()
    np.random.seed(4)
    net.train(X, y, X, y, num_iters=5, batch_size=7)
    random = np.random.RandomState(4)
    for _ in range(5):
        random.choice(12, 7)
    assert np.random.random() == random.random_sample()


@pytest.mark.parametrize("options", [{"num_iters": 5}, {"epochs": 2}])
def test_own_generator(options):
    X, y = data()
    results = []
    np.random.seed(0)
    before = global_state()
    for rng in (5, 5, np.random.default_rng(5), 6):
        net = TwoLayerNet(4, 5, 3, "he", dropout=0.4, rng=rng)
        history = net.train(X, y, X, y, 0.1, batch_size=5, **options)
        loss = net.loss(X, y)[0]
        results.append((history, loss, copies(net.params)))
    assert global_state() == before
    for other in results[1:3]:
        assert other[:2] == results[0][:2] and same(other[2], results[0][2])
    assert not same(results[3][2], results[0][2]) and results[3][0] != results[0][0]


@pytest.mark.parametrize("options", [{"num_iters": 5}, {"epochs": 2}])
def test_same_global_seed_same_bits(options):
    X, y = data()
    params = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        net = TwoLayerNet(4, 5, 3, "he", dropout=0.4)
        net.train(X, y, X, y, 0.1, batch_size=5, **options)
        params.append(copies(net.params))
    assert same(params[0], params[1]) and not same(params[0], params[2])


def hidden_units(net, rng=None):
    """The hidden layer of one example, seen through the gradients: dL/dW2 = A^T dL/db2."""
    grads = net.loss(np.ones((1, net.input_size)), [0], rng=rng)[1]
    return grads["W2"][:, 1] / grads["b2"][1]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rng", [None, 0])
@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_dropout(dropout, rng, dtype):
    H = 20_000
    np.random.seed(0)
    net = TwoLayerNet(2, H, 2, "zeros", dropout=dropout, dtype=dtype, rng=rng)
    net.params["b1"] += 1
    hidden = hidden_units(net)
    assert abs(np.mean(hidden == 0) - dropout) < 5 * math.sqrt(dropout * (1 - dropout) / H)
    np.testing.assert_allclose(hidden[hidden != 0], 1 / (1 - dropout), rtol=1e-6)
    another = hidden_units(net)
    assert abs(np.mean((hidden == 0) == (another == 0)) - dropout**2 - (1 - dropout) ** 2) < 0.02


def test_dropout_is_drawn_for_every_example():
    net = TwoLayerNet(50, 50, 2, "zeros", dropout=0.5, activation="sigmoid", rng=0)
    net.params["W2"] += np.arange(2)
    dropped = net.loss(np.eye(50), np.zeros(50, int))[1]["W1"] == 0  # [example, unit], as X is the identity
    assert 0.4 < dropped.mean() < 0.6
    assert len(np.unique(dropped, axis=0)) == len(np.unique(dropped.T, axis=0)) == 50


def test_scoring_drops_nothing():
    X, y = data()
    net = TwoLayerNet(4, 50, 3, "he", dropout=0.9, rng=0)
    plain = TwoLayerNet(4, 50, 3, "he", rng=0)
    assert np.array_equal(net.loss(X), plain.loss(X)) and np.array_equal(net.predict(X), plain.predict(X))
    assert net.loss(X, y)[0] != plain.loss(X, y)[0]
    history = net.train(X, y, X, y, lambda progress: 0.0, reg=0.1, epochs=2)  # a rate of 0 changes nothing
    assert history["val_loss_history"] == [pytest.approx(plain.loss(X, y, 0.1)[0], rel=1e-14)] * 2
    assert history["train_acc_history"] == history["val_acc_history"] == [np.mean(plain.predict(X) == y)] * 2


def test_loss_with_its_own_generator():
    X, y = data()
    np.random.seed(0)
    for rng in (None, 0):
        net = TwoLayerNet(4, 50, 3, "he", dropout=0.5, rng=rng)
        before = global_state(), net.rng and str(net.rng.bit_generator.state)
        loss, grads = net.loss(X, y, rng=7)
        again, grads_again = net.loss(X, y, rng=np.random.default_rng(7))
        assert loss == again and same(grads, grads_again)
        assert net.loss(X, y, rng=8)[0] != loss
        assert before == (global_state(), net.rng and str(net.rng.bit_generator.state))
        assert net.loss(X, y)[0] != net.loss(X, y)[0]


# ---- training: the optimizers


def step(optimizer, w, g, memory, lr, t, o):
    """The rules as they are printed in the papers."""
    if optimizer == "sgd":
        return w - lr * g
    if optimizer == "momentum":
        memory["v"] = o["momentum"] * memory.get("v", 0) - lr * g
        return w + memory["v"]
    if optimizer == "rmsprop":
        memory["s"] = o["rho"] * memory.get("s", 0) + (1 - o["rho"]) * g**2
        return w - lr * g / (np.sqrt(memory["s"]) + o["eps"])
    memory["m"] = o["beta1"] * memory.get("m", 0) + (1 - o["beta1"]) * g
    memory["s"] = o["beta2"] * memory.get("s", 0) + (1 - o["beta2"]) * g**2
    m_hat, s_hat = memory["m"] / (1 - o["beta1"] ** t), memory["s"] / (1 - o["beta2"] ** t)
    return w - lr * m_hat / (np.sqrt(s_hat) + o["eps"])


def train_by_the_formulas(params, X, y, batches, rates, reg, optimizer, options):
    params, memory, losses = copies(params), {name: {} for name in params}, []
    for t, (rows, lr) in enumerate(zip(batches, rates, strict=True), start=1):
        _, loss, grads = reference(params, X[rows], y[rows], "tanh", "softmax")
        losses.append(loss + reg * sum((params[W] ** 2).sum() for W in ("W1", "W2")))
        for name in params:
            g = grads[name] + 2 * reg * params[name] * name.startswith("W")
            params[name] = step(optimizer, params[name], g, memory[name], lr, t, options)
    return params, losses


CASES = [
    ("sgd", {}),
    ("momentum", {}),
    ("momentum", {"momentum": 0.5}),
    ("momentum", {"momentum": 0}),
    ("rmsprop", {}),
    ("rmsprop", {"rho": 0.8, "eps": 0.1}),
    ("adam", {}),
    ("adam", {"beta1": 0.5, "beta2": 0.7, "eps": 0.1}),
]
DEFAULTS = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "rmsprop": {"rho": 0.99, "eps": 1e-8},
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}


@pytest.mark.parametrize(("optimizer", "given_options"), CASES)
@pytest.mark.parametrize("loop", ["num_iters", "epochs"])
@pytest.mark.parametrize("H", [5, 40_000])  # a matrix that fits in a cache, and one that does not
def test_optimizers(optimizer, given_options, loop, H):
    steps, lr = (8, 0.01) if H == 5 else (2, 1e-4)
    X, y = data()
    net = TwoLayerNet(4, H, 3, 0.01, activation="tanh", rng=9)
    random = np.random.default_rng(9)
    params = {"W1": 0.01 * random.standard_normal((4, H)), "b1": np.zeros(H)}
    params |= {"W2": 0.01 * random.standard_normal((H, 3)), "b2": np.zeros(3)}
    assert same(net.params, params)
    if loop == "epochs":  # full batches: their order does not matter
        batches, decays = [np.arange(12)] * steps, range(steps)
    else:  # epochs of 12 / 5 = 2.4 steps end after steps 0, 12, 24 ...
        batches, decays = [random.choice(12, 5) for _ in range(steps)], [0] + [1] * (steps - 1)
    rates = [lr * 0.8**k for k in decays]
    batch_size = 5 if loop == "num_iters" else 12
    history = net.train(X, y, X, y, lr, 0.8, 0.1, batch_size=batch_size, optimizer=optimizer,
                        **{loop: steps}, **given_options)  # fmt: skip
    options = DEFAULTS[optimizer] | given_options
    expected, losses = train_by_the_formulas(params, X, y, batches, rates, 0.1, optimizer, options)
    np.testing.assert_allclose(history["loss_history"], losses, rtol=1e-8)
    for name in NAMES:
        np.testing.assert_allclose(net.params[name], expected[name], rtol=1e-6, atol=1e-9)
    assert history["learning_rate_history"] == pytest.approx(rates if loop == "epochs" else rates[:1])


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_optimizer_starts_afresh_in_each_call(optimizer):
    X, y = data()
    net = TwoLayerNet(4, 5, 3, 0.1, activation="tanh", rng=0)
    for _ in range(2):
        before = copies(net.params)
        net.train(X, y, X, y, 0.1, reg=0, epochs=1, batch_size=12, optimizer=optimizer)
        expected, _ = train_by_the_formulas(before, X, y, [np.arange(12)], [0.1], 0, optimizer,
                                            DEFAULTS[optimizer])  # fmt: skip
        np.testing.assert_allclose(net.params["W1"], expected["W1"], rtol=1e-9)


@pytest.mark.parametrize("loop", ["num_iters", "epochs"])
def test_schedule(loop):
    X, y = data()
    seen = []

    def schedule(progress):
        seen.append(progress)
        return 0.1 * (1 - progress)

    net = TwoLayerNet(4, 5, 3, 0.1, activation="tanh", rng=0)
    before = copies(net.params)
    history = net.train(X, y, X, y, schedule, 0.5, 0, batch_size=12, **{loop: 8})
    assert seen == [i / 8 for i in range(8)]
    rates = [0.1 * (1 - p) for p in seen]
    assert history["learning_rate_history"] == rates  # 12 / 12: an epoch is a step in both loops
    if loop == "epochs":
        expected, _ = train_by_the_formulas(before, X, y, [np.arange(12)] * 8, rates, 0, "sgd", {})
        np.testing.assert_allclose(net.params["W1"], expected["W1"], rtol=1e-9)


# ---- training: which examples, when an epoch ends, what is recorded


def revealing_net(N, seed):
    """A net and N examples with losses 0.1, 0.1 * 7, 0.1 * 7**2 ...: a batch's loss tells its rows."""
    net = TwoLayerNet(N, N, 2, "zeros", rng=seed)
    losses = 0.1 * 7.0 ** np.arange(N)
    net.params["W1"] = np.eye(N)
    net.params["W2"][:, 1] = losses + np.log(-np.expm1(-losses))  # its log(1 + exp(s_1)) is that loss
    return net, np.eye(N), np.zeros(N, int)


def rows_of(loss, size, N):
    """How often each example occurs in a batch of this size and loss: digits in base 7."""
    number = round(loss * size / 0.1)
    return [number // 7**i % 7 for i in range(N)]


@pytest.mark.parametrize(("N", "batch_size"), [(10, 4), (10, 5), (7, 6), (10, 1), (6, 9), (1, 1)])
def test_an_epoch_visits_every_example_once(N, batch_size):
    net, X, y = revealing_net(N, 0)
    history = net.train(X, y, X, y, lambda p: 0.0, reg=0, epochs=5, batch_size=batch_size)
    sizes = [min(batch_size, N - first) for first in range(0, N, batch_size)]
    assert len(history["loss_history"]) == 5 * len(sizes)
    assert all(len(values) == 5 for name, values in history.items() if name != "loss_history")
    orders, losses = set(), iter(history["loss_history"])
    for epoch in range(5):
        batches = [rows_of(next(losses), size, N) for size in sizes]
        assert [sum(batch) for batch in batches] == sizes
        assert np.sum(batches, axis=0).tolist() == [1] * N
        orders.add(str(batches))
        right = np.sum(batches[-1][:1])  # only example 0 is more probably 0 than 1, and 0 is the label
        assert history["train_acc_history"][epoch] == pytest.approx(right / sizes[-1])
        assert history["val_acc_history"][epoch] == 1 / N
    assert len(sizes) == 1 or len(orders) > 1


@pytest.mark.parametrize("batch_size", [2, 3, 4, 5, 6])
def test_num_iters_draws_with_replacement(batch_size):
    N = 9
    net, X, y = revealing_net(N, 5)
    history = net.train(X, y, X, y, lambda p: 0.0, reg=0, num_iters=60, batch_size=batch_size)
    random, repeated = np.random.default_rng(5), 0
    for loss in history["loss_history"]:
        rows = rows_of(loss, batch_size, N)
        assert rows == np.bincount(random.choice(N, batch_size), minlength=N).tolist()
        repeated += max(rows) > 1
    assert repeated


@SETTINGS
@given(st.integers(1, 12), st.integers(1, 30), st.integers(1, 40))
def test_epochs_of_num_iters(N, batch_size, num_iters):
    X, y = data(N)
    net = TwoLayerNet(4, 2, 3, 0.1, rng=0)
    history = net.train(X, y, X, y, 0.1, 0.5, num_iters=num_iters, batch_size=batch_size)
    ends = sum(it % max(N / batch_size, 1) == 0 for it in range(num_iters))
    assert list(history) == ["loss_history", "train_acc_history", "val_acc_history", "val_loss_history",
                             "learning_rate_history"]  # fmt: skip
    assert [len(values) for values in history.values()] == [num_iters] + [ends] * 4
    assert history["learning_rate_history"] == [0.1 * 0.5**k for k in range(ends)]


def test_history_after_the_last_step():
    X, y = data(20)
    X_val, y_val = data(30, seed=1)
    for options in ({"num_iters": 5, "batch_size": 5}, {"epochs": 3, "batch_size": 20}):
        net = TwoLayerNet(4, 5, 3, "he", criterion="mse", rng=0)
        history = net.train(X, y, X_val, y_val, 0.5, reg=0.01, **options)
        assert history["val_acc_history"][-1] == np.mean(net.predict(X_val) == y_val)
        assert history["val_loss_history"][-1] == pytest.approx(net.loss(X_val, y_val, 0.01)[0], rel=1e-14)
    assert history["train_acc_history"][-1] == np.mean(net.predict(X) == y)


def test_defaults_of_train():
    X, y = data(300)
    np.random.seed(0)
    net = TwoLayerNet(4, 5, 3)
    history = net.train(X, y, X, y)
    np.random.seed(0)
    other = TwoLayerNet(4, 5, 3, std=1e-4, activation="relu", leak=0.01, dropout=0.0, criterion="softmax",
                        dtype=np.float64, rng=None)  # fmt: skip
    assert history == other.train(X, y, X, y, learning_rate=1e-3, learning_rate_decay=0.95, reg=5e-6,
                                  num_iters=100, batch_size=200, verbose=False, epochs=None,
                                  optimizer="sgd")  # fmt: skip
    assert same(net.params, other.params) and len(history["loss_history"]) == 100


# ---- what is printed


def test_verbose_num_iters(capsys):
    X, y = data()
    net = TwoLayerNet(4, 5, 3, 0.1, rng=0)
    losses = net.train(X, y, X, y, 1e-1, num_iters=201, verbose=True)["loss_history"]
    lines = [f"iteration {it} / 201: loss {losses[it]:.6f}\n" for it in (0, 100, 200)]
    assert capsys.readouterr().out == "".join(lines)
    net.train(X, y, X, y, num_iters=2)
    assert capsys.readouterr() == ("", "")


def test_verbose_epochs(capsys):
    X, y = data()
    net = TwoLayerNet(4, 5, 3, 0.1, rng=0)
    h = net.train(X, y, X, y, 1e-1, epochs=2, batch_size=5, verbose=True)
    assert capsys.readouterr().out == "".join(
        f"epoch {e} / 2: loss {h['loss_history'][3 * e - 1]:.6f}, "
        f"val loss {h['val_loss_history'][e - 1]:.6f}, val acc {h['val_acc_history'][e - 1]:.4f}\n"
        for e in (1, 2)
    )


# ---- errors: the argument, the value, and nothing changed

NET_ERRORS = [
    ("input_size", 0, ValueError),
    ("input_size", -3, ValueError),
    ("input_size", 4.0, TypeError),
    ("hidden_size", 0, ValueError),
    ("hidden_size", "5", TypeError),
    ("hidden_size", True, TypeError),
    ("output_size", 0, ValueError),
    ("output_size", None, TypeError),
    ("std", -0.1, ValueError),
    ("std", math.nan, ValueError),
    ("std", math.inf, ValueError),
    ("std", "glorot", ValueError),
    ("std", None, TypeError),
    ("activation", "ReLU", ValueError),
    ("activation", None, ValueError),
    ("leak", -0.1, ValueError),
    ("leak", 1.0, ValueError),
    ("leak", math.nan, ValueError),
    ("leak", "0.1", TypeError),
    ("dropout", -0.1, ValueError),
    ("dropout", 1, ValueError),
    ("dropout", 1.5, ValueError),
    ("dropout", math.nan, ValueError),
    ("dropout", None, TypeError),
    ("criterion", "hinge", ValueError),
    ("dtype", "int64", ValueError),
    ("dtype", "float16", ValueError),
    ("rng", -1, ValueError),
    ("rng", 1.5, TypeError),
    ("rng", "seed", TypeError),
]


@pytest.mark.parametrize(("name", "value", "error"), NET_ERRORS)
def test_errors_of_the_net(name, value, error):
    before = global_state()
    arguments = {"input_size": 4, "hidden_size": 5, "output_size": 3, name: value}
    with pytest.raises(error, match=name) as caught:
        TwoLayerNet(**arguments)
    assert repr(value) in str(caught.value)
    assert global_state() == before


def test_positional_options_are_refused():
    with pytest.raises(TypeError):
        TwoLayerNet(4, 5, 3, 0.1, "relu")


GOOD_X, GOOD_Y = data()
BAD_DATA = [  # X, y, error, words
    (GOOD_X[:, :3], GOOD_Y, ValueError, ["X", "input_size=4", "(12, 3)"]),
    (GOOD_X[0], GOOD_Y[:4], ValueError, ["X", "(4,)"]),
    (GOOD_X[:0], GOOD_Y[:0], ValueError, ["X", "(0, 4)"]),
    (1.0, GOOD_Y, ValueError, ["X", "()"]),
    (np.where(GOOD_X > 1, np.nan, GOOD_X), GOOD_Y, ValueError, ["X", "NaN"]),
    (np.where(GOOD_X > 1, np.inf, GOOD_X), GOOD_Y, ValueError, ["X", "infinite"]),
    (np.where(GOOD_X > 1, -np.inf, GOOD_X), GOOD_Y, ValueError, ["X", "infinite"]),
    (GOOD_X.astype(complex), GOOD_Y, TypeError, ["X", "complex128"]),
    (GOOD_X.astype(object), GOOD_Y, TypeError, ["X", "object"]),
    (GOOD_X.astype(str), GOOD_Y, TypeError, ["X", "<U"]),
    (None, GOOD_Y, TypeError, ["X", "object"]),
    (np.ma.masked_greater(GOOD_X, 1), GOOD_Y, TypeError, ["X", "masked"]),
    (GOOD_X, GOOD_Y[:-1], ValueError, ["y", "(12,)", "(11,)"]),
    (GOOD_X, GOOD_Y[:, None], ValueError, ["y", "(12,)", "(12, 1)"]),
    (GOOD_X, np.eye(3)[GOOD_Y], ValueError, ["y", "(12, 3)"]),
    (GOOD_X, GOOD_Y + 1, ValueError, ["y", "0..2", "1..3"]),
    (GOOD_X, GOOD_Y - 1, ValueError, ["y", "0..2", "-1..1"]),
    (GOOD_X, GOOD_Y.astype(float), ValueError, ["y", "float64"]),
    (GOOD_X, GOOD_Y > 1, ValueError, ["y", "bool"]),
    (GOOD_X, GOOD_Y.astype(str), ValueError, ["y", "<U"]),
    (GOOD_X, np.ma.masked_equal(GOOD_Y, 1), TypeError, ["y", "masked"]),
]


def assert_refused(net, call, error, words):
    params, state = copies(net.params), global_state()
    own = net.rng and str(net.rng.bit_generator.state)
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert same(net.params, params) and global_state() == state
    assert own == (net.rng and str(net.rng.bit_generator.state))


@pytest.mark.parametrize(("X", "y", "error", "words"), BAD_DATA)
def test_errors_of_the_data(X, y, error, words):
    for rng in (None, 0):
        net = TwoLayerNet(4, 5, 3, 0.1, dropout=0.5, rng=rng)
        assert_refused(net, lambda: net.loss(X, y), error, words)  # noqa: B023
        assert_refused(net, lambda: net.train(X, y, GOOD_X, GOOD_Y), error, words)  # noqa: B023
        val = [f"{words[0]}_val", *words[1:]]
        assert_refused(net, lambda: net.train(GOOD_X, GOOD_Y, X, y), error, val)  # noqa: B023
        if words[0] == "X":
            assert_refused(net, lambda: net.loss(X), error, words)  # noqa: B023
            assert_refused(net, lambda: net.predict(X), error, words)  # noqa: B023


def test_numbers_too_large_for_float32():
    net = TwoLayerNet(4, 5, 3, dtype=np.float32, rng=0)
    assert_refused(net, lambda: net.loss(GOOD_X * 1e39), ValueError, ["X", "float32"])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"reg": -1}, ValueError, ["reg", "-1"]),
        ({"reg": math.nan}, ValueError, ["reg", "nan"]),
        ({"reg": math.inf}, ValueError, ["reg", "inf"]),
        ({"reg": None}, TypeError, ["reg", "None"]),
        ({"rng": -1}, ValueError, ["rng", "-1"]),
        ({"rng": "a"}, TypeError, ["rng", "'a'"]),
    ],
)
def test_errors_of_loss(options, error, words):
    net = TwoLayerNet(4, 5, 3, dropout=0.5)
    assert_refused(net, lambda: net.loss(GOOD_X, GOOD_Y, **options), error, words)


TRAIN_ERRORS = [
    ({"learning_rate": 0}, ValueError, ["learning_rate", "0"]),
    ({"learning_rate": -1e-3}, ValueError, ["learning_rate", "-0.001"]),
    ({"learning_rate": math.nan}, ValueError, ["learning_rate", "nan"]),
    ({"learning_rate": math.inf}, ValueError, ["learning_rate", "inf"]),
    ({"learning_rate": "0.1"}, TypeError, ["learning_rate", "'0.1'"]),
    ({"learning_rate": None}, TypeError, ["learning_rate", "None"]),
    ({"learning_rate": lambda progress: -0.1}, ValueError, ["learning_rate", "-0.1"]),
    ({"learning_rate": lambda progress: math.nan}, ValueError, ["learning_rate", "nan"]),
    ({"learning_rate_decay": 0}, ValueError, ["learning_rate_decay", "0"]),
    ({"learning_rate_decay": "a"}, TypeError, ["learning_rate_decay", "'a'"]),
    ({"reg": -1e-3}, ValueError, ["reg", "-0.001"]),
    ({"reg": [0.1]}, TypeError, ["reg", "[0.1]"]),
    ({"num_iters": 0}, ValueError, ["num_iters", "0"]),
    ({"num_iters": 10.0}, TypeError, ["num_iters", "10.0"]),
    ({"epochs": 0}, ValueError, ["epochs", "0"]),
    ({"epochs": 1.5}, TypeError, ["epochs", "1.5"]),
    ({"epochs": True}, TypeError, ["epochs", "True"]),
    ({"epochs": 2, "num_iters": 50}, ValueError, ["num_iters=50", "epochs=2"]),
    ({"batch_size": 0}, ValueError, ["batch_size", "0"]),
    ({"batch_size": 2.5}, TypeError, ["batch_size", "2.5"]),
    ({"optimizer": "Adam"}, ValueError, ["optimizer", "'Adam'"]),
    ({"optimizer": None}, ValueError, ["optimizer", "None"]),
    ({"momentum": 0.9}, TypeError, ["momentum", "0.9", "sgd"]),
    ({"optimizer": "adam", "momentum": 0.9}, TypeError, ["momentum", "0.9", "beta1"]),
    ({"optimizer": "momentum", "momentum": 1}, ValueError, ["momentum", "1"]),
    ({"optimizer": "momentum", "momentum": -0.5}, ValueError, ["momentum", "-0.5"]),
    ({"optimizer": "momentum", "momentum": None}, TypeError, ["momentum", "None"]),
    ({"optimizer": "rmsprop", "rho": 1.0}, ValueError, ["rho", "1.0"]),
    ({"optimizer": "rmsprop", "eps": 0}, ValueError, ["eps", "0"]),
    ({"optimizer": "adam", "beta1": 1}, ValueError, ["beta1", "1"]),
    ({"optimizer": "adam", "beta2": math.nan}, ValueError, ["beta2", "nan"]),
    ({"learning_rat": 0.1}, TypeError, ["learning_rat", "0.1"]),
]


@pytest.mark.parametrize(("options", "error", "words"), TRAIN_ERRORS)
def test_errors_of_train(options, error, words):
    if callable(options.get("learning_rate")):
        net = TwoLayerNet(4, 5, 3, 0.1, rng=0)  # a schedule is asked when its step has begun
        params = copies(net.params)
        with pytest.raises(error) as caught:
            net.train(GOOD_X, GOOD_Y, GOOD_X, GOOD_Y, **options)
        assert all(word in str(caught.value) for word in words) and same(net.params, params)
        return
    net = TwoLayerNet(4, 5, 3, 0.1)
    call = lambda: net.train(GOOD_X, GOOD_Y, GOOD_X, GOOD_Y, **options)  # noqa: E731
    assert_refused(net, call, error, words)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"W1": np.zeros((5, 4))}, ValueError, ["params['W1']", "(4, 5)", "(5, 4)"]),
        ({"b1": np.zeros((1, 5))}, ValueError, ["params['b1']", "(5,)", "(1, 5)"]),
        ({"W2": np.zeros((5, 3), complex)}, ValueError, ["params['W2']", "complex128"]),
        ({"b2": np.ma.zeros(3)}, TypeError, ["params['b2']", "masked"]),
        ({"W3": np.zeros(3)}, ValueError, ["params", "W3"]),
    ],
)
def test_errors_of_assigned_parameters(change, error, words, tmp_path):
    net = TwoLayerNet(4, 5, 3, 0.1)
    net.params.update(change)
    for call in (
        lambda: net.loss(GOOD_X),
        lambda: net.loss(GOOD_X, GOOD_Y),
        lambda: net.predict(GOOD_X),
        lambda: net.train(GOOD_X, GOOD_Y, GOOD_X, GOOD_Y),
        lambda: net.save(tmp_path / "net.npz"),
    ):
        assert_refused(net, call, error, words)
    assert not list(tmp_path.iterdir())


# ---- divergence


@pytest.mark.parametrize("loop", ["num_iters", "epochs"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 1e3), ("sgd", 1e200), ("adam", 1e160)])
def test_divergence_names_the_step(optimizer, lr, dtype, loop):
    X, y = data(40)
    net = TwoLayerNet(4, 5, 3, "he", dtype=dtype, rng=0)
    with pytest.raises(FloatingPointError, match=r"step \d+ of 1600.*rate.*smaller"):
        net.train(10 * X, y, X, y, lr, reg=float(optimizer == "sgd"), batch_size=10, optimizer=optimizer,
                  **{loop: 400 if loop == "epochs" else 1600})  # fmt: skip


def test_divergence_in_the_last_step():
    X, y = data()
    for options in ({"epochs": 1}, {"num_iters": 1}):
        net = TwoLayerNet(4, 5, 3, "he", rng=0)
        with pytest.raises(FloatingPointError, match="step 0 of 1"):
            net.train(X, y, X, y, 1e200, batch_size=12, **options)


def test_divergence_at_the_first_step():
    X, y = data()
    net = TwoLayerNet(4, 5, 3, "he", rng=0)
    net.params["W1"] *= np.nan
    with pytest.raises(FloatingPointError, match="step 0 of 7"):
        net.train(X, y, X, y, num_iters=7)


def test_predict_refuses_scores_that_are_not_finite():
    X, _ = data()
    net = TwoLayerNet(4, 5, 3, "he", rng=0)
    for bad in (np.nan, np.inf):
        net.params["b2"] = np.array([0, bad, 0])
        with pytest.raises(FloatingPointError, match="not finite"):
            net.predict(X)


# ---- many rows


@pytest.mark.parametrize(("kind", "dtype"), [(np.float32, np.float32), (np.uint8, np.float64)])
def test_scoring_in_bounded_memory(kind, dtype):
    N, D, H = 20_000, 784, 256
    X = np.random.default_rng(0).integers(0, 256, (N, D), np.uint8).astype(kind)
    net = TwoLayerNet(D, H, 10, "he", dtype=dtype, activation="tanh", rng=0)
    tracemalloc.start()
    labels = net.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # the hidden layer of all rows is 20 or 41 MB, and X in the net's dtype 63 or 125 MB
    parts = [net.predict(X[first : first + 777]) for first in range(0, N, 777)]
    assert labels.shape == (N,) and labels.dtype.kind == "i"
    assert np.array_equal(labels, np.concatenate(parts))
    assert np.array_equal(labels, net.loss(X).argmax(axis=1))


# ---- files


@SETTINGS
@given(
    st.sampled_from(ACTIVATIONS),
    st.sampled_from(CRITERIA),
    st.sampled_from([np.float64, np.float32]),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.tuples(*[st.integers(1, 4)] * 3),
)
def test_save_and_load(tmp_path_factory, activation, criterion, dtype, leak, dropout, sizes):
    options = {"activation": activation, "criterion": criterion, "leak": leak, "dropout": dropout}
    net = TwoLayerNet(*sizes, "normal", dtype=dtype, rng=0, **options)
    net.params["b1"][0] = -0.0
    net.params["b2"][-1] = np.finfo(dtype).smallest_subnormal
    path = tmp_path_factory.getbasetemp() / "net"  # no suffix: the name is taken as it is
    net.save(str(path))
    loaded = TwoLayerNet.load(path)
    assert type(loaded) is TwoLayerNet and same(loaded.params, net.params)
    names = ["input_size", "hidden_size", "output_size", "dtype", *options]
    assert [getattr(loaded, name) for name in names] == [getattr(net, name) for name in names]
    X, y = data(5, sizes[0], sizes[2])
    assert loaded.loss(X, y, rng=3)[0] == net.loss(X, y, rng=3)[0]
    assert loaded.train(X, y, X, y, epochs=1)["loss_history"]  # the arrays may be written to


def test_saving_does_not_touch_generators(tmp_path):
    net, before = TwoLayerNet(4, 5, 3, rng=0), global_state()
    own = str(net.rng.bit_generator.state)
    net.save(tmp_path / "net.npz")
    loaded = TwoLayerNet.load(tmp_path / "net.npz")
    assert global_state() == before and own == str(net.rng.bit_generator.state)
    loaded.train(GOOD_X, GOOD_Y, GOOD_X, GOOD_Y, num_iters=1)
    assert global_state() != before  # a loaded net draws from the global generator


def npz(path, **changes):
    """A saved net with entries replaced, or left out where None."""
    with np.load(path) as file:
        entries = {name: file[name] for name in file.files} | changes
    np.savez(path, **{name: value for name, value in entries.items() if value is not None})


BROKEN = {
    "empty": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("not a net\n" * 20),
    "pickle": lambda p: p.write_bytes(b"\x80\x04N."),
    "half": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "last byte": lambda p: p.write_bytes(p.read_bytes()[:-1]),
    "flipped byte": lambda p: p.write_bytes(p.read_bytes().replace(b"\x3f", b"\x3e", 1)),
    "npy": lambda p: p.write_bytes(b"\x93NUMPY\x01\x00" + p.read_bytes()),
    "zip": lambda p: zipfile.ZipFile(p, "w").close(),
    "other arrays": lambda p: np.savez(p, x=np.zeros(3)),
    "no W2": lambda p: npz(p, W2=None),
    "no format": lambda p: npz(p, format=None),
    "a later format": lambda p: npz(p, format=99),
    "a foreign entry": lambda p: npz(p, colour="red"),
    "W1 flat": lambda p: npz(p, W1=np.zeros(20)),
    "W2 of another size": lambda p: npz(p, W2=np.zeros((6, 3))),
    "integers": lambda p: npz(p, W1=np.zeros((4, 5), int)),
    "an unknown activation": lambda p: npz(p, activation="step"),
    "dropout of 2": lambda p: npz(p, dropout=2.0),
    "objects": lambda p: npz(p, b1=np.array([None] * 5)),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files(kind, tmp_path):
    path = tmp_path / "net.npz"
    TwoLayerNet(4, 5, 3, "he", rng=0).save(path)
    BROKEN[kind](path)
    with pytest.raises(ValueError, match=r"net\.npz") as caught:
        TwoLayerNet.load(path)
    if kind == "objects":
        assert "OBJECT" in str(caught.value)  # never unpickled


def entry(dtype, shape):
    """An array's header, without the numbers."""
    f = io.BytesIO()
    np.lib.format.write_array_header_1_0(f, {"descr": dtype, "fortran_order": False, "shape": shape})
    return f.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("W1", entry("<f8", (2**31, 2**9))),
        ("W2", entry("<f8", (0, 2**40))),
        ("W1", entry("<f8", (0, 5))),
        ("b1", entry("|V0", (2**60,))),
        ("W1.npy", b"no array"),
    ],
)
def test_sizes_without_numbers_are_refused(name, content, tmp_path):
    path = tmp_path / "net.npz"
    TwoLayerNet(4, 5, 3, "he", rng=0).save(path)
    with zipfile.ZipFile(path) as z:
        entries = {member: z.read(member) for member in z.namelist()} | {f"{name}.npy": content}
    with zipfile.ZipFile(path, "w") as z:
        for member, data in entries.items():
            z.writestr(member, data)
    with pytest.raises(ValueError, match=r"net\.npz"):
        TwoLayerNet.load(path)


def test_packed_entries_are_refused_unread(tmp_path):
    path = tmp_path / "net.npz"
    np.savez_compressed(path, format=1, W1=np.zeros((4, 2**24)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"net\.npz.*compressed"):
            TwoLayerNet.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_pickles_are_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "went off"),)

    path = tmp_path / "net.npz"
    TwoLayerNet(4, 5, 3, rng=0).save(path)
    npz(path, activation=np.array(Bomb(), dtype=object))
    with pytest.raises(ValueError, match=r"net\.npz"):
        TwoLayerNet.load(path)
    assert not (tmp_path / "went off").exists()


def test_damage_anywhere_is_noticed(tmp_path):
    path = tmp_path / "net.npz"
    net = TwoLayerNet(2, 2, 2, "he", leak=0.2, dropout=0.3, activation="tanh", rng=0)
    net.save(path)
    whole = path.read_bytes()
    for i in range(0, len(whole), 3):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 0x11]) + whole[i + 1 :])
        try:
            loaded = TwoLayerNet.load(path)
        except ValueError as error:
            assert str(path) in str(error)
        else:  # a byte that says nothing, such as a date in the archive
            assert same(loaded.params, net.params), i
            assert (loaded.leak, loaded.dropout, loaded.activation) == (0.2, 0.3, "tanh"), i


def test_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.npz"):
        TwoLayerNet.load(tmp_path / "nothing.npz")
    with pytest.raises(OSError):
        TwoLayerNet(4, 5, 3, rng=0).save(tmp_path / "no folder" / "net.npz")
    assert not list(tmp_path.iterdir())


def no_space(file, *arrays, **named_arrays):
    file.write(b"half of it")
    raise OSError(28, "No space left on device")


def refuse(*arguments):
    raise OSError(13, "Permission denied")


@pytest.mark.parametrize(("where", "name", "failure"), [(np, "savez", no_space), (os, "replace", refuse)])
def test_saving_that_fails(where, name, failure, tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    net = TwoLayerNet(4, 5, 3, "he", rng=0)
    net.save(path)
    whole = path.read_bytes()
    net.params["W1"] = net.params["W1"] + 1
    with monkeypatch.context() as patch:
        patch.setattr(where, name, failure)
        with pytest.raises(OSError):
            net.save(path)
    assert path.read_bytes() == whole and list(tmp_path.iterdir()) == [path]
    net.save(path)
    assert same(TwoLayerNet.load(path).params, net.params) and list(tmp_path.iterdir()) == [path]


def test_saving_through_a_link(tmp_path):
    target, link = tmp_path / "real.npz", tmp_path / "link.npz"
    net = TwoLayerNet(4, 5, 3, "he", rng=0)
    net.save(target)
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")
    net.params["b1"] = net.params["b1"] + 1
    net.save(link)
    assert link.is_symlink() and same(TwoLayerNet.load(target).params, net.params)


# ---- the file by itself

SOURCE = Path(two_layer_net.__file__)


def test_imports_only_numpy_and_the_standard_library():
    modules = set()
    for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.add(node.module.split(".")[0])
    assert "numpy" in modules and modules - {"numpy"} <= sys.stdlib_module_names


def test_works_when_copied_alone(tmp_path):
    (tmp_path / SOURCE.name).write_bytes(SOURCE.read_bytes())
    script = """
import sys
sys.path.insert(0, ".")
import numpy as np
from two_layer_net import TwoLayerNet
X = np.random.default_rng(0).standard_normal((60, 2))
y = (X[:, 0] > X[:, 1]).astype(int)
net = TwoLayerNet(2, 8, 2, "he", rng=0)
net.train(X, y, X, y, 0.3, epochs=30, batch_size=10, optimizer="momentum")
net.save("net.npz")
others = {"data_utils", "gradient_check", "vis_utils", "tune", "matplotlib", "scipy"} & set(sys.modules)
print((TwoLayerNet.load("net.npz").predict(X) == y).mean() > 0.9, others or "alone")
"""
    run = subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (run.stdout, run.stderr) == ("True alone\n", "")


@pytest.mark.parametrize(
    ("dtype", "optimizer"), [(np.float32, "sgd"), (np.float32, "momentum"), (np.float64, "sgd")]
)
def test_weights_that_only_decay_end_at_zero(dtype, optimizer):
    """Not at subnormal numbers, whose products take ten times as long."""
    net = TwoLayerNet(3, 4, 2, std=1.0, dtype=dtype, rng=0)
    X, y = np.zeros((4, 3)), np.array([0, 1, 0, 1])
    net.train(X, y, X, y, learning_rate=0.5, learning_rate_decay=1, reg=0.1, num_iters=8000, batch_size=4,
              optimizer=optimizer)  # fmt: skip
    assert not net.params["W1"].any() and not net.params["W2"].any()


def test_params_that_the_callback_swaps():
    net = TwoLayerNet(3, 3, 3, 1.0, rng=0)
    seen = []

    def swap(net, history):
        seen.append({name: w.copy() for name, w in net.params.items()})
        net.params["W1"], net.params["W2"] = net.params["W2"], net.params["W1"]

    X, y = np.eye(3), np.arange(3)
    net.train(X, y, X, y, epochs=1, callback=swap)
    assert np.array_equal(net.params["W1"], seen[0]["W2"]) and np.array_equal(net.params["W2"], seen[0]["W1"])


@pytest.mark.parametrize(("std", "dtype"), [(1e300, np.float32), (1.7e308, np.float64)])
def test_std_that_overflows_is_refused(std, dtype):
    with pytest.raises(ValueError, match="std must be small enough"):
        TwoLayerNet(30, 3, 2, std, dtype=dtype, rng=0)


def test_optimizer_step_has_the_defaults_of_train_and_refuses_unknown_names():
    w, v = np.ones(3), np.ones(3)
    optimizer_step("momentum", w, np.zeros(3), v, learning_rate=0.1)
    assert np.allclose(v, 0.9) and np.allclose(w, 1.9)
    with pytest.raises(ValueError, match=r"optimizer must be one of .*'foo'"):
        optimizer_step("foo", w, np.zeros(3), learning_rate=0.1)
