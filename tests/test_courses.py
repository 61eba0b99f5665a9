"""The figures that five courses printed, each reached through the class."""

import math

import numpy as np
import pytest

from data_utils import load_dataset, one_hot_decode, one_hot_encode
from gradient_check import eval_numerical_gradient, rel_error
from two_layer_net import TwoLayerNet, optimizer_step

# ---- cs231n: ReLU, softmax, a toy net drawn from numpy's global generator


@pytest.fixture
def toy():
    np.random.seed(0)
    net = TwoLayerNet(4, 10, 3, std=1e-1)
    np.random.seed(1)
    return net, 10 * np.random.randn(5, 4), np.array([0, 1, 2, 2, 1])


def test_cs231n_scores(toy):
    net, X, _ = toy
    printed = [
        [-0.81233741, -1.27654624, -0.70335995],
        [-0.17129677, -1.18803311, -0.47310444],
        [-0.51590475, -1.01354314, -0.8504215],
        [-0.15419291, -0.48629638, -0.52901952],
        [-0.00618733, -0.12435261, -0.15226949],
    ]
    np.testing.assert_allclose(net.loss(X), printed, rtol=0, atol=5.001e-9)


def test_cs231n_loss(toy):
    net, X, y = toy
    assert abs(net.loss(X, y, reg=0.05)[0] - 1.3037878913298202) < 1e-15


def test_cs231n_gradients(toy):
    net, X, y = toy
    grads = net.loss(X, y, reg=0.05)[1]
    assert list(grads) == ["W1", "b1", "W2", "b2"]
    for name, grad in grads.items():
        numerical = eval_numerical_gradient(lambda _: net.loss(X, y, reg=0.05)[0], net.params[name], False)
        assert rel_error(numerical, grad) < 1e-8, name


def test_cs231n_last_loss(toy):
    _, X, y = toy
    np.random.seed(0)
    net = TwoLayerNet(4, 10, 3, std=1e-1)
    history = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100, verbose=False)
    assert len(history["loss_history"]) == 100
    assert abs(history["loss_history"][-1] - 0.017149607938732093) < 1e-12


# ---- SVHN homework: leaky ReLU, momentum, dropout given by keep_prob


def test_svhn_leaky_relu():
    net = TwoLayerNet(12, 12, 12, "zeros", activation="leaky_relu", leak=0.01)
    net.params["W1"] = net.params["W2"] = np.eye(12)
    x = np.linspace(-1.5, 1.5, 12)
    printed = [-0.015, -0.01227273, -0.00954545, -0.00681818, -0.00409091, -0.00136364,
               0.13636364, 0.40909091, 0.68181818, 0.95454545, 1.22727273, 1.5]  # fmt: skip
    np.testing.assert_allclose(net.loss(x.reshape(1, 3, 4))[0], printed, rtol=0, atol=5.001e-9)


@pytest.fixture
def svhn():
    net = TwoLayerNet(4, 30, 7, "zeros", activation="leaky_relu")
    net.params = {
        "W1": np.linspace(-0.7, 0.3, num=120).reshape(4, 30),
        "b1": np.linspace(-0.6, 0.2, num=30),
        "W2": np.linspace(-0.2, 0.2, num=210).reshape(30, 7),
        "b2": np.linspace(-0.9, 0.1, num=7),
    }
    return net, np.linspace(-5.5, 4.5, num=16).reshape(4, 4).T, np.array([0, 5, 1, 4])


def test_svhn_scores(svhn):
    net, X, _ = svhn
    scores = net.loss(X)
    first = [-2.33876804, -1.92168925, -1.50461046, -1.08753166, -0.67045287, -0.25337408, 0.16370472]
    last = [-0.03896506, 0.2862477, 0.61146047, 0.93667323, 1.261886, 1.58709876, 1.91231153]
    np.testing.assert_allclose(scores[0], first, rtol=0, atol=5.001e-9)
    np.testing.assert_allclose(scores[-1], last, rtol=0, atol=5.001e-9)
    np.testing.assert_array_equal(net.loss(X.reshape(4, 2, 1, 2)), scores)


def test_svhn_loss(svhn):
    net, X, y = svhn
    assert abs(net.loss(X, y)[0] - 2.4250083210516835) < 1e-15


def test_svhn_parameters_in_a_fresh_net(svhn, tmp_path):
    net, X, y = svhn
    fresh = TwoLayerNet(4, 30, 7, activation="leaky_relu", rng=0)
    fresh.params.update(net.params)
    np.testing.assert_array_equal(fresh.loss(X), net.loss(X))
    net.save(tmp_path / "net.npz")
    assert TwoLayerNet.load(tmp_path / "net.npz").loss(X, y)[0] == net.loss(X, y)[0]


def test_svhn_momentum():
    w, g, v = (np.linspace(*ends, num=20).reshape(4, 5) for ends in ((-0.4, 0.6), (-0.6, 0.4), (0.6, 0.9)))
    assert optimizer_step("momentum", w, g, v, learning_rate=1e-3, momentum=0.9) is None
    for array, begin, end in ((w, [0.1406, 0.20738947], 1.4096), (v, [0.5406, 0.55475789], 0.8096)):
        np.testing.assert_allclose(array[0, :2], begin, rtol=0, atol=5.001e-9)
        assert abs(array[3, 4] - end) < 5e-9


@pytest.mark.parametrize("keep_prob", [0.3, 0.6, 0.75])
def test_svhn_keep_prob(keep_prob):
    H = 40_000
    net = TwoLayerNet(1, H, 2, "zeros", dropout=1 - keep_prob)
    net.params["b1"] += 3.0  # so every unit is 3 before dropout, and 0 or 3 / keep_prob after it
    grads = net.loss(np.zeros((1, 1)), np.array([0]), rng=0)[1]
    hidden = grads["W2"][:, 1] / grads["b2"][1]  # dL/dW2 = A^T dL/db2 when there is one row
    assert np.unique(hidden.round(9)).tolist() == pytest.approx([0, 3 / keep_prob], abs=1e-8)
    assert abs(np.mean(hidden > 0) - keep_prob) < 5 * math.sqrt(keep_prob * (1 - keep_prob) / H)
    assert abs(hidden.mean() - 3) < 0.1


def test_svhn_labels():
    files = np.array([[10], [1], [9], [10], [5]])  # 10 means digit 0
    X, y = np.eye(5), files.ravel() % 10
    net = TwoLayerNet(5, 20, 10, 0.1, activation="leaky_relu", rng=0)
    net.train(X, y, X, y, learning_rate=0.5, epochs=200)
    assert net.predict(X).tolist() == [0, 1, 9, 0, 5]
    with pytest.raises(ValueError, match=r"y must be in 0\.\.9, got 1\.\.10"):
        net.loss(X, files.ravel())


# ---- momentum homework: MNIST, weights of std 0.1, tanh or ReLU, L2, dropout, epochs


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_momentum_homework(activation):
    data = load_dataset("mnist5k")
    net = TwoLayerNet(784, 50, 10, 0.1, activation=activation, dropout=0.2, dtype=np.float32, rng=0)
    assert net.params["W1"].std() == pytest.approx(0.1, rel=0.02)
    arrays = data.X_train, data.y_train, data.X_val, data.y_val
    history = net.train(*arrays, 0.02, reg=1e-4, batch_size=100, epochs=4, optimizer="momentum")
    assert len(history["loss_history"]) == 4 * 32 and len(history["val_acc_history"]) == 4
    assert np.mean(net.predict(data.X_test) == data.y_test) > 0.8


# ---- Keras-mimic homework: initializers, MSE, one-hot


@pytest.mark.parametrize(
    ("std", "W1", "W2"),
    [
        ("zeros", 0, 0),
        ("normal", 1, 1),
        ("xavier", math.sqrt(2 / 1100), math.sqrt(2 / 500)),
        ("he", math.sqrt(2 / 700), math.sqrt(2 / 400)),
        (0.1, 0.1, 0.1),
    ],
)
def test_keras_initializers(std, W1, W2):
    params = TwoLayerNet(700, 400, 100, std, rng=0).params
    assert params["W1"].std() == pytest.approx(W1, rel=0.01)  # 280,000 draws: their deviation is 0.0013 of it
    assert params["W2"].std() == pytest.approx(W2, rel=0.02)
    assert abs(params["W1"].mean()) <= 0.01 * W1 and not params["b1"].any() and not params["b2"].any()
    if W1:
        assert np.mean(abs(params["W1"]) < W1) == pytest.approx(0.6827, abs=0.005)  # a normal distribution


def test_keras_mse_and_one_hot():
    net = TwoLayerNet(4, 5, 3, "xavier", criterion="mse", rng=0)
    X, y = np.random.default_rng(0).standard_normal((6, 4)), np.array([0, 1, 2, 2, 1, 0])
    E = np.exp(net.loss(X))
    P, Y = E / E.sum(axis=1, keepdims=True), one_hot_encode(y, 3)
    assert net.loss(X, y)[0] == pytest.approx(((P - Y) ** 2).mean(), rel=1e-14)
    np.testing.assert_array_equal(one_hot_decode(Y), y)
    np.testing.assert_array_equal(P.argmax(axis=1), net.predict(X))


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 0.5), ("rmsprop", 1e-3), ("adam", 1e-3)])
def test_keras_simple_model(optimizer, lr):
    data = load_dataset("mnist5k")
    net = TwoLayerNet(784, 64, 10, "he", activation="leaky_relu", criterion="mse", dtype=np.float32, rng=0)
    arrays = data.X_train, data.y_train, data.X_val, data.y_val
    net.train(*arrays, lr, reg=0, batch_size=32, epochs=6, optimizer=optimizer)
    assert np.mean(net.predict(data.X_test) == data.y_test) > 0.85


# ---- report on MNIST: L2 written with lambda / 2


def test_report_lambda_is_twice_reg():
    net = TwoLayerNet(4, 5, 3, "he", rng=0)
    net.params["b1"] += 1  # biases are not regularized
    net.params["b2"] -= 1
    X, y, lam = np.random.default_rng(1).standard_normal((6, 4)), np.array([0, 1, 2, 2, 1, 0]), 0.2
    plain, plain_grads = net.loss(X, y)
    loss, grads = net.loss(X, y, reg=lam / 2)
    W1, W2 = net.params["W1"], net.params["W2"]
    assert loss - plain == pytest.approx(lam / 2 * ((W1**2).sum() + (W2**2).sum()), rel=1e-13)
    for name in ("W1", "W2"):
        np.testing.assert_allclose(grads[name] - plain_grads[name], lam * net.params[name], rtol=1e-12)
    for name in ("b1", "b2"):
        np.testing.assert_array_equal(grads[name], plain_grads[name])
