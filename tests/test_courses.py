"""The figures that five courses printed, each reached through the class."""

import numpy as np
import pytest

from data_utils import load_dataset, one_hot_encode
from two_layer_net import TwoLayerNet, momentum

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
    assert np.abs(net.loss(X) - printed).max() < 5e-9
    assert net.predict(X).tolist() == [2, 0, 0, 0, 0]


def test_cs231n_loss(toy):  # its gradients: see test_two_layer_net.py
    net, X, y = toy
    assert net.loss(X, y, reg=0.05)[0] == pytest.approx(1.3037878913298202, rel=1e-12, abs=0)


def test_cs231n_training(toy):
    _, X, y = toy
    np.random.seed(0)
    net = TwoLayerNet(4, 10, 3, std=1e-1)
    history = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100)
    assert history["loss_history"][-1] == pytest.approx(0.017149607938732093, rel=1e-12, abs=0)


@pytest.mark.full_data
def test_cs231n_cifar10_reaches_29_percent():
    try:
        data = load_dataset("cifar10", validation=1000, normalize=False, dtype=np.float64)
    except FileNotFoundError:
        pytest.skip("CIFAR-10 is not there")
    mean = data.X_train.mean(axis=0)
    np.random.seed(0)
    net = TwoLayerNet(3072, 50, 10)
    X, X_val = data.X_train - mean, data.X_val - mean
    net.train(X, data.y_train, X_val, data.y_val, 1e-4, 0.95, 0.25, 1000, 200)
    assert 0.27 < net.accuracy(X_val, data.y_val) < 0.31


# ---- SVHN homework: leaky ReLU, dropout, optimizers


def test_svhn_leaky_relu():
    net = TwoLayerNet(1, 1, 1, "zeros", activation="leaky_relu")
    net.params["W1"][:], net.params["W2"][:] = 1, 1
    x = np.linspace(-1.5, 1.5, 12)
    assert np.allclose(net.loss(x[:, None])[:, 0], np.where(x > 0, x, 0.01 * x), rtol=1e-15)


def test_svhn_scores_and_loss():
    net = TwoLayerNet(4, 30, 7)
    net.params["W1"] = np.linspace(-0.7, 0.3, num=120).reshape(4, 30)
    net.params["b1"] = np.linspace(-0.6, 0.2, num=30)
    net.params["W2"] = np.linspace(-0.2, 0.2, num=210).reshape(30, 7)
    net.params["b2"] = np.linspace(-0.9, 0.1, num=7)
    X = np.linspace(-5.5, 4.5, num=16).reshape(4, 4).T
    first = [-2.33876804, -1.92168925, -1.50461046, -1.08753166, -0.67045287, -0.25337408]
    first.append(0.16370472)
    last = [-0.03896506, 0.2862477, 0.61146047, 0.93667323, 1.261886, 1.58709876, 1.91231153]
    scores = net.loss(X)
    assert np.abs(scores[0] - first).max() < 5e-9 and np.abs(scores[-1] - last).max() < 5e-9
    loss = net.loss(X, np.array([0, 5, 1, 4]))[0]
    assert loss == pytest.approx(2.4250083210516835, rel=1e-12, abs=0)


def test_svhn_momentum():
    w, g = (np.linspace(a, a + 1, 20).reshape(4, 5) for a in (-0.4, -0.6))
    v = np.linspace(0.6, 0.9, 20).reshape(4, 5)
    assert momentum(w, g, v, lr=1e-3, momentum=0.9) is None
    for array, printed in ((w, (0.1406, 0.20738947, 1.4096)), (v, (0.5406, 0.55475789, 0.8096))):
        assert np.abs(array.ravel()[[0, 1, -1]] - printed).max() < 5e-9


# ---- momentum homework: mini-batch SGD with and without momentum


def test_momentum_homework_gets_further_with_momentum():
    data = load_dataset("mnist5k")
    examples = data.X_train, data.y_train, data.X_val, data.y_val
    losses = {}
    for optimizer in ("sgd", "momentum"):
        net = TwoLayerNet(784, 50, 10, 0.1, activation="tanh", dropout=0.1, dtype=np.float32, rng=0)
        net.train(*examples, 0.01, reg=1e-4, epochs=3, batch_size=50, optimizer=optimizer)
        losses[optimizer] = net.history["val_loss_history"][-1]
    assert losses["momentum"] < 0.8 * losses["sgd"]


# ---- Keras-mimic homework: initializers, MSE, one-hot labels, optimizers


@pytest.mark.parametrize("rng", [None, 5])
@pytest.mark.parametrize(
    "std, sd1, sd2",
    [
        ("zeros", 0, 0),
        ("normal", 1, 1),
        ("xavier", (2 / 7) ** 0.5, (2 / 5) ** 0.5),
        ("he", (2 / 4) ** 0.5, (2 / 3) ** 0.5),
        (0.1, 0.1, 0.1),
    ],
)
def test_keras_initializers_and_their_order(std, sd1, sd2, rng):
    np.random.seed(5)
    params = TwoLayerNet(4, 3, 2, std, rng=rng).params
    np.random.seed(5)
    draw = np.random.default_rng(5) if rng else np.random
    assert np.array_equal(params["W1"], sd1 * draw.standard_normal((4, 3)))
    assert np.array_equal(params["W2"], sd2 * draw.standard_normal((3, 2)))
    assert list(params) == ["W1", "b1", "W2", "b2"]
    assert params["b1"].tolist() == [0, 0, 0] and params["b2"].tolist() == [0, 0]


def test_keras_mean_squared_error_of_probabilities():
    rng = np.random.default_rng(0)
    net, X = TwoLayerNet(4, 5, 3, 1.0, criterion="mse", rng=1), rng.standard_normal((6, 4))
    y = rng.integers(0, 3, 6)
    P = np.exp(net.loss(X)) / np.exp(net.loss(X)).sum(axis=1, keepdims=True)
    assert net.loss(X, y)[0] == pytest.approx(np.mean((P - one_hot_encode(y, 3)) ** 2), rel=1e-14)


def test_keras_advanced_model_reads_nine_digits_of_ten():
    data = load_dataset("mnist5k")
    options = {"activation": "leaky_relu", "criterion": "mse", "dtype": np.float32}
    net = TwoLayerNet(784, 64, 10, "he", **options, rng=0)
    examples = data.X_train, data.y_train, data.X_val, data.y_val
    net.train(*examples, learning_rate=2e-3, epochs=5, batch_size=32, optimizer="adam")
    assert net.accuracy(data.X_test, data.y_test) > 0.9
