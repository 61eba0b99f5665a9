"""What five courses ask for, and the figures that they printed, each reached through the class."""

import numpy as np
import pytest

from data_utils import load_dataset, one_hot_encode
from gradient_check import check_gradients
from two_layer_net import TwoLayerNet, momentum, softmax


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
    assert net.predict(X).tolist() == [2, 0, 0, 0, 0]


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
        data = load_dataset("cifar10", validation=1000, normalize=False, dtype=np.float64)
    except FileNotFoundError:
        pytest.skip("CIFAR-10 is not there")
    mean = data.X_train.mean(axis=0)
    data.X_train -= mean
    data.X_val -= mean
    np.random.seed(0)
    net = TwoLayerNet(3072, 50, 10)
    options = {"learning_rate": 1e-4, "learning_rate_decay": 0.95, "reg": 0.25}
    train(net, data, num_iters=1000, batch_size=200, **options)
    assert 0.27 < net.accuracy(data.X_val, data.y_val) < 0.31


# ---- SVHN homework: leaky ReLU, momentum, inputs of any shape


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


def test_svhn_leaky_relu():
    net = TwoLayerNet(1, 1, 1, "zeros", activation="leaky_relu")
    net.params["W1"][...] = 1
    net.params["W2"][...] = 1
    x = np.linspace(-1.5, 1.5, 12)
    expected = np.where(x > 0, x, 0.01 * x)
    assert np.allclose(net.loss(x[:, None])[:, 0], expected, rtol=1e-15, atol=0)


def test_svhn_scores():
    X, _ = svhn_data()
    scores = svhn_net().loss(X)
    first = [-2.33876804, -1.92168925, -1.50461046, -1.08753166, -0.67045287, -0.25337408]
    first.append(0.16370472)
    last = [-0.03896506, 0.2862477, 0.61146047, 0.93667323, 1.261886, 1.58709876, 1.91231153]
    assert np.abs(scores[0] - first).max() < 5e-9
    assert np.abs(scores[-1] - last).max() < 5e-9


def test_svhn_loss():
    X, y = svhn_data()
    loss, _ = svhn_net().loss(X, y)
    assert loss == pytest.approx(2.4250083210516835, rel=1e-12, abs=0)


def test_svhn_inputs_of_any_shape_are_flattened():
    X, y = svhn_data()
    net = svhn_net()
    assert net.loss(X.reshape(4, 2, 1, 2), y)[0] == net.loss(X, y)[0]


def test_svhn_momentum():
    w = np.linspace(-0.4, 0.6, 20).reshape(4, 5)
    g = np.linspace(-0.6, 0.4, 20).reshape(4, 5)
    state = {"v": np.linspace(0.6, 0.9, 20).reshape(4, 5)}
    momentum(w, g, state, 1e-3, momentum=0.9)
    corners = [0, 1, -1]
    assert np.abs(w.ravel()[corners] - [0.1406, 0.20738947, 1.4096]).max() < 5e-9
    v = state["v"]
    assert np.abs(v.ravel()[corners] - [0.5406, 0.55475789, 0.8096]).max() < 5e-9


def test_svhn_parameters_are_loaded_into_a_fresh_net(tmp_path):
    X, y = svhn_data()
    trained = svhn_net()
    trained.train(X, y, X, y, learning_rate=1e-2, epochs=3, optimizer="momentum")
    trained.save(tmp_path / "svhn.npz")
    fresh = TwoLayerNet(4, 30, 7)
    fresh.params.update(TwoLayerNet.load(tmp_path / "svhn.npz").params)
    assert np.array_equal(fresh.loss(X), trained.loss(X))


# ---- Momentum homework: mini-batch SGD with and without momentum


def test_momentum_homework_gets_further_with_momentum(mnist):
    of_net = {"std": 0.1, "activation": "tanh", "dropout": 0.1, "dtype": np.float32, "rng": 0}
    options = {"learning_rate": 0.01, "reg": 1e-4, "epochs": 3, "batch_size": 50}
    losses = {}
    for optimizer in ("sgd", "momentum"):
        net = TwoLayerNet(784, 50, 10, **of_net)
        history = train(net, mnist, optimizer=optimizer, **options)
        losses[optimizer] = history["val_loss_history"][-1]
    assert losses["momentum"] < 0.8 * losses["sgd"]


# ---- Keras-mimic homework: initializers, MSE, evaluate, RMSProp, Adam


@pytest.mark.parametrize(
    "std, of_W1, of_W2",
    [
        ("zeros", 0, 0),
        ("normal", 1, 1),
        ("xavier", (2 / 7) ** 0.5, (2 / 5) ** 0.5),
        ("he", (2 / 4) ** 0.5, (2 / 3) ** 0.5),
        (0.1, 0.1, 0.1),
    ],
)
def test_keras_initializers(std, of_W1, of_W2):
    params = TwoLayerNet(4, 3, 2, std, rng=5).params
    rng = np.random.default_rng(5)  # W1 is drawn first, then W2
    assert np.array_equal(params["W1"], of_W1 * rng.standard_normal((4, 3)))
    assert np.array_equal(params["W2"], of_W2 * rng.standard_normal((3, 2)))
    assert params["b1"].tolist() == [0, 0, 0]
    assert params["b2"].tolist() == [0, 0]


def test_keras_softmax():
    S = np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])
    assert np.allclose(softmax(S), [[0.125, 0.25, 0.625], [0.375, 0.375, 0.25]], rtol=1e-14)


def test_keras_mean_squared_error_is_of_probabilities():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6, 4))
    y = rng.integers(0, 3, 6)
    net = TwoLayerNet(4, 5, 3, 1.0, criterion="mse", rng=1)
    loss, _ = net.loss(X, y)
    differences = softmax(net.loss(X)) - one_hot_encode(y, 3)
    assert loss == pytest.approx(np.mean(differences**2), rel=1e-14, abs=0)


def test_keras_evaluate_gives_test_loss_and_accuracy():
    net = TwoLayerNet(2, 2, 2, "zeros", criterion="mse")
    net.params["W1"][...] = np.eye(2)
    net.params["W2"][...] = np.log(3) * np.eye(2)
    X = np.eye(2)  # whose probabilities are 3/4 and 1/4
    assert net.evaluate(X, np.array([0, 1])) == pytest.approx((1 / 16, 1.0))
    assert net.evaluate(X, np.array([0, 0])) == pytest.approx((5 / 16, 0.5))


def test_keras_simple_model_reads_85_percent(mnist):
    net = TwoLayerNet(784, 32, 10, "xavier", criterion="mse", dtype=np.float32, rng=0)
    train(net, mnist, learning_rate=0.5, epochs=6, batch_size=32)
    _, accuracy = net.evaluate(mnist.X_test, mnist.y_test)
    assert accuracy > 0.85


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_keras_advanced_model_reads_nine_digits_of_ten(optimizer, mnist):
    options = {"activation": "leaky_relu", "criterion": "mse", "dtype": np.float32}
    net = TwoLayerNet(784, 64, 10, "he", **options, rng=0)
    train(net, mnist, learning_rate=2e-3, epochs=4, batch_size=32, optimizer=optimizer)
    _, accuracy = net.evaluate(mnist.X_test, mnist.y_test)
    assert accuracy > 0.9


# ---- Report on MNIST: biases as rows, lambda / 2, a checkpoint after each epoch


def report_net():
    net = TwoLayerNet(5, 8, 3, 0.5, rng=0)
    rng = np.random.default_rng(1)
    net.params["b1"] = rng.standard_normal((1, 8))
    net.params["b2"] = rng.standard_normal((1, 3))
    return net


def report_data():
    rng = np.random.default_rng(2)
    return rng.standard_normal((20, 5)), rng.integers(0, 3, 20)


def test_report_biases_as_rows_score_like_others():
    X, _ = report_data()
    net = report_net()
    scores = net.loss(X)
    net.params["b1"] = net.params["b1"].ravel()
    net.params["b2"] = net.params["b2"].ravel()
    assert np.array_equal(net.loss(X), scores)


def test_report_gradients_of_biases_as_rows():
    X, y = report_data()
    errors = check_gradients(report_net(), X, y, reg=0.1)
    assert list(errors) == ["W1", "b1", "W2", "b2"]
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


def test_report_net_with_biases_as_rows_comes_back(tmp_path):
    X, _ = report_data()
    net = report_net()
    net.save(tmp_path / "report.npz")
    back = TwoLayerNet.load(tmp_path / "report.npz")
    assert back.output_size == 3
    assert np.array_equal(back.loss(X), net.loss(X))


def test_report_lambda_is_twice_reg():
    X, y = report_data()
    net = report_net()
    strength = 0.1  # of its penalty: strength / 2 * sum(W**2), whose derivative is strength * W
    loss, grads = net.loss(X, y, reg=strength / 2)
    data_loss, data_grads = net.loss(X, y)
    W1 = net.params["W1"]
    W2 = net.params["W2"]
    penalty = strength / 2 * (np.sum(W1**2) + np.sum(W2**2))
    assert loss == pytest.approx(data_loss + penalty, rel=1e-14)
    assert np.allclose(grads["W1"], data_grads["W1"] + strength * W1, rtol=1e-12)
    assert np.allclose(grads["W2"], data_grads["W2"] + strength * W2, rtol=1e-12)
    assert np.array_equal(grads["b1"], data_grads["b1"])


def test_report_has_a_checkpoint_after_each_epoch(tmp_path):
    X, y = report_data()
    path = tmp_path / "report.npz"
    now = []
    saved = []

    def callback(net, history):
        saved.append(TwoLayerNet.load(path).loss(X))
        now.append(net.loss(X))

    options = {"epochs": 3, "checkpoint": path, "callback": callback}
    report_net().train(X, y, X, y, learning_rate=0.1, **options)
    saved.append(TwoLayerNet.load(path).loss(X))
    assert np.array_equal(saved[0], report_net().loss(X))
    # The checkpoint of an epoch is written after its callback.
    assert np.array_equal(saved[1:], now)
    assert not np.array_equal(now[0], now[1])
