"""What five courses ask for, and the figures that they printed, each reached through the class."""

import numpy as np
import pytest

from data_utils import load_dataset
from gradient_check import check_gradients
from two_layer_net import TwoLayerNet, momentum


@pytest.fixture(scope="module")
def mnist():
    return load_dataset("mnist5k")


def train(net, data, **options):
    return net.train(data.X_train, data.y_train, data.X_val, data.y_val, **options)


# ---- cs231n: ReLU, softmax, a toy net drawn from numpy's global generator


def toy_net():
    np.random.seed(0)
    return TwoLayerNet(4, 10, 3, std=1e-1)


def toy_data():
    np.random.seed(1)
    X = 10 * np.random.randn(5, 4)
    return X, np.array([0, 1, 2, 2, 1])


def test_cs231n_scores():
    net = toy_net()
    X, _ = toy_data()
    printed = [
        [-0.81233741, -1.27654624, -0.70335995],
        [-0.17129677, -1.18803311, -0.47310444],
        [-0.51590475, -1.01354314, -0.8504215],
        [-0.15419291, -0.48629638, -0.52901952],
        [-0.00618733, -0.12435261, -0.15226949],
    ]
    assert np.abs(net.loss(X) - printed).max() < 5e-9


def test_cs231n_loss():
    net = toy_net()
    X, y = toy_data()
    loss, _ = net.loss(X, y, reg=0.05)
    assert loss == pytest.approx(1.3037878913298202, rel=1e-12, abs=0)


def test_cs231n_training():
    X, y = toy_data()
    net = toy_net()  # seeds the generator that draws the batches, too
    history = net.train(X, y, X, y, learning_rate=1e-1, reg=5e-6, num_iters=100)
    last = history["loss_history"][-1]
    assert last == pytest.approx(0.017149607938732093, rel=1e-12, abs=0)


@pytest.mark.full_data
def test_cs231n_cifar10_reaches_29_percent():
    try:
        data = load_dataset("cifar10", normalize="mean", dtype=np.float64)
    except FileNotFoundError:
        pytest.skip("CIFAR-10 is not there")
    np.random.seed(0)
    net = TwoLayerNet(3072, 50, 10)
    options = {"learning_rate": 1e-4, "learning_rate_decay": 0.95, "reg": 0.25}
    train(net, data, num_iters=1000, batch_size=200, **options)
    assert 0.27 < net.accuracy(data.X_val, data.y_val) < 0.31


# ---- SVHN homework: scores, loss and momentum as printed


def svhn_net():
    net = TwoLayerNet(4, 30, 7)
    net.params["W1"] = np.linspace(-0.7, 0.3, num=120).reshape(4, 30)
    net.params["b1"] = np.linspace(-0.6, 0.2, num=30)
    net.params["W2"] = np.linspace(-0.2, 0.2, num=210).reshape(30, 7)
    net.params["b2"] = np.linspace(-0.9, 0.1, num=7)
    return net


def svhn_data():
    X = np.linspace(-5.5, 4.5, num=16).reshape(4, 4).T
    return X, np.array([0, 5, 1, 4])


def test_svhn_scores():
    X, _ = svhn_data()
    scores = svhn_net().loss(X)
    printed = [
        [-2.33876804, -1.92168925, -1.50461046, -1.08753166, -0.67045287, -0.25337408, 0.16370472],
        [-0.03896506, 0.2862477, 0.61146047, 0.93667323, 1.261886, 1.58709876, 1.91231153],
    ]
    assert np.abs(scores[[0, -1]] - printed).max() < 5e-9


def test_svhn_loss():
    X, y = svhn_data()
    loss, _ = svhn_net().loss(X, y)
    assert loss == pytest.approx(2.4250083210516835, rel=1e-12, abs=0)


def test_svhn_momentum():
    w = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
    g = np.linspace(-0.6, 0.4, 20).reshape(4, 5)
    state = {"v": np.linspace(0.6, 0.9, 20).reshape(4, 5)}
    momentum(w, g, state, 1e-3, momentum=0.9)
    assert np.abs(w.flat[[0, 1, -1]] - [0.1406, 0.20738947, 1.4096]).max() < 5e-9
    assert np.abs(state["v"].flat[[0, 1, -1]] - [0.5406, 0.55475789, 0.8096]).max() < 5e-9


# ---- Homeworks on MNIST: momentum with dropout; mean squared error, RMSProp and Adam as in Keras


@pytest.mark.parametrize(
    "optimizer, learning_rate, activation, criterion, least",
    [
        ("momentum", 0.01, "tanh", "softmax", 0.88),  # "sgd" gets to 0.85 with these
        ("sgd", 1.0, "relu", "mse", 0.85),
        ("rmsprop", 2e-3, "leaky_relu", "mse", 0.9),
        ("adam", 2e-3, "leaky_relu", "mse", 0.9),
    ],
)
def test_homeworks_on_mnist_read_their_share_of_the_digits(
    optimizer, learning_rate, activation, criterion, least, mnist
):
    options = {"activation": activation, "criterion": criterion, "dropout": 0.1}
    net = TwoLayerNet(784, 64, 10, "xavier", **options, dtype=np.float32, rng=0)
    train(net, mnist, learning_rate=learning_rate, epochs=6, batch_size=32, optimizer=optimizer)
    _, accuracy = net.evaluate(mnist.X_test, mnist.y_test)
    assert accuracy > least


# ---- Report on MNIST: biases as rows


def report_net():
    net = TwoLayerNet(5, 8, 3, 0.5, rng=0)
    rng = np.random.default_rng(1)
    net.params["b1"] = rng.standard_normal((1, 8))
    net.params["b2"] = rng.standard_normal((1, 3))
    return net


def report_data():
    rng = np.random.default_rng(2)
    return rng.standard_normal((20, 5)), rng.integers(0, 3, 20)


def test_report_gradients_of_biases_as_rows():
    X, y = report_data()
    errors = check_gradients(report_net(), X, y, reg=0.1)
    assert max(errors.values()) < 1e-7


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam"])
def test_report_trains_biases_as_rows_like_others(optimizer):
    X, y = report_data()
    net = report_net()
    other = report_net()
    other.params["b1"] = other.params["b1"].ravel()
    other.params["b2"] = other.params["b2"].ravel()
    for each in (net, other):
        each.train(X, y, X, y, 0.1, epochs=3, batch_size=8, optimizer=optimizer)
    assert net.params["b1"].shape == (1, 8)
    assert net.params["b2"].shape == (1, 3)
    assert net.history == other.history
