"""The class: formulas, training, mistakes that students make."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import two_layer_net
from two_layer_net import ACTIVATIONS, OPTIMIZERS, TwoLayerNet

RNG = np.random.default_rng(0)
X, y = RNG.standard_normal((60, 6)), RNG.integers(0, 3, 60)
X_val, y_val = RNG.standard_normal((20, 6)), RNG.integers(0, 3, 20)
DATA = X, y, X_val, y_val


def make(**options):
    return TwoLayerNet(6, 8, 3, **{"std": 0.5, "rng": 0, **options})


def same(a, b):
    return all(np.array_equal(a.params[name], b.params[name]) for name in a.params)


# ---- the formulas


def numerical_gradient(f, w, h=1e-5):
    """Centred differences of f() for each number in w, which is changed in place and restored."""
    gradient = np.empty_like(w)
    for i in np.ndindex(w.shape):
        middle = w[i]
        w[i] = middle + h
        above = f()
        w[i] = middle - h
        gradient[i] = (above - f()) / (2 * h)
        w[i] = middle
    return gradient


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("criterion", ["softmax", "mse"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("reg", [0.0, 0.1])
def test_gradients_are_the_numerical_ones(activation, criterion, dropout, reg):
    net = make(activation=activation, leak=0.2, criterion=criterion, dropout=dropout)
    grads = net.loss(X[:5], y[:5], reg, rng=1)[1]
    for name, w in net.params.items():
        numerical = numerical_gradient(lambda: net.loss(X[:5], y[:5], reg, rng=1)[0], w)
        assert np.allclose(grads[name], numerical, rtol=1e-6, atol=1e-9), name


def test_gradients_of_the_toy_net_of_cs231n():
    np.random.seed(0)
    net = TwoLayerNet(4, 10, 3, std=1e-1)
    np.random.seed(1)
    toy, labels = 10 * np.random.randn(5, 4), np.array([0, 1, 2, 2, 1])
    for name, g in net.loss(toy, labels, 0.05)[1].items():
        n = numerical_gradient(lambda: net.loss(toy, labels, 0.05)[0], net.params[name])
        assert (np.abs(n - g) / np.maximum(1e-8, np.abs(n) + np.abs(g))).max() < 1e-8, name


def test_activations_are_what_their_names_say():
    z = np.array([-2.0, -0.1, 0.3, 4.0])
    expected = {
        "relu": np.maximum(0, z),
        "leaky_relu": np.where(z > 0, z, 0.2 * z),
        "tanh": np.tanh(z),
        "sigmoid": 1 / (1 + np.exp(-z)),
    }
    for activation, values in expected.items():
        net = TwoLayerNet(1, 1, 1, "zeros", activation=activation, leak=0.2)
        net.params["W1"][:], net.params["W2"][:], net.params["b2"][:] = 1, 3, 0.5
        assert np.allclose(net.loss(z[:, None])[:, 0], 3 * values + 0.5, rtol=1e-14)


def test_loss_by_the_textbook():
    net, reg = make(), 0.3
    p = net.params
    S = np.maximum(0, X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    P = np.exp(S) / np.exp(S).sum(axis=1, keepdims=True)
    expected = -np.log(P[np.arange(60), y]).mean()
    expected += reg * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
    loss, grads = net.loss(X, y, reg)
    assert type(loss) is float and loss == pytest.approx(expected, rel=1e-13)
    assert {name: g.shape for name, g in grads.items()} == {name: w.shape for name, w in p.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e4, 1e6])
def test_huge_scores_have_a_finite_loss(dtype, size):
    net = TwoLayerNet(1, 1, 2, "zeros", dtype=dtype)
    net.params["b2"][:] = [size, 0]
    loss, grads = net.loss(np.ones((1, 1)), np.array([1]))
    assert loss == size and grads["b2"].tolist() == [1, -1]
    assert net.loss(np.ones((1, 1)), np.array([0]))[0] == 0


def test_many_rows_are_scored_as_few_are():
    net = TwoLayerNet(1000, 50, 3, 0.1, rng=0)
    many = np.random.default_rng(0).standard_normal((4000, 1000))
    p = net.params
    at_once = np.maximum(0, many @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
    assert np.allclose(net.loss(many), at_once, rtol=1e-12)
    assert np.allclose(net.loss(many.reshape(4000, 40, 25)), at_once, rtol=1e-12)


def test_float32_stays_float32_and_images_of_any_kind_are_taken():
    net = TwoLayerNet(784, 20, 10, "he", dtype=np.float32, rng=0)
    images = np.random.default_rng(0).integers(0, 256, (7, 28, 28), np.uint8)
    rows = images.reshape(7, 784).astype(np.float32)
    assert np.array_equal(net.loss(images), net.loss(rows)) and net.loss(images).dtype == np.float32
    labels = np.arange(7, dtype=np.uint8)  # as MNIST's files hold them
    loss, grads = net.loss(images, labels, np.float64(0.1))
    assert type(loss) is float and {g.dtype for g in grads.values()} == {np.dtype(np.float32)}
    rates = {"learning_rate": np.float64(1e-4), "reg": np.float64(1e-3)}
    for optimizer in OPTIMIZERS:
        net.train(images, labels, images, labels, **rates, epochs=2, optimizer=optimizer)
        assert {w.dtype for w in net.params.values()} == {np.dtype(np.float32)}


def test_dropout_drops_its_share_scales_the_rest_and_spares_the_scores():
    net = TwoLayerNet(1, 10_000, 2, "zeros", dropout=0.3, rng=0)
    net.params["b1"][:] = 1
    kept = net.loss(np.ones((1, 1)), [0])[1]["W2"][:, 1]  # dS is 1/2, so this is A / 2
    assert np.isclose(kept[kept > 0], 0.5 / 0.7).all() and abs((kept == 0).mean() - 0.3) < 0.02
    net.params["W2"][:] = 1
    assert net.loss(np.ones((1, 1))).tolist() == [[10_000, 10_000]]


def test_rng_of_loss_fixes_the_mask_and_leaves_the_nets_own_alone():
    net, twin = make(dropout=0.5), make(dropout=0.5)
    fixed = net.loss(X, y, rng=7)[0]
    assert fixed == net.loss(X, y, rng=np.random.default_rng(7))[0] != net.loss(X, y, rng=8)[0]
    assert net.loss(X, y)[0] == twin.loss(X, y)[0] != net.loss(X, y)[0]


def test_each_call_returns_gradients_of_its_own():
    net = make()
    first = net.loss(X[:30], y[:30])[1]
    before = {name: g.copy() for name, g in first.items()}
    net.loss(X[30:], y[30:])
    net.train(*DATA, num_iters=3)
    kept = []
    net.train(*DATA, epochs=2, callback=lambda net, _: kept.append(net.loss(X, y)[1]["W1"]))
    assert all(np.array_equal(first[name], before[name]) for name in first)
    assert kept[0] is not kept[1] and not np.array_equal(*kept)


@pytest.mark.parametrize("rng", [None, 3])
def test_the_same_seed_gives_the_same_bits(rng):
    nets = []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        net = make(rng=rng and seed, dropout=0.2)
        net.train(*DATA, epochs=2, batch_size=7)
        nets.append(net)
    assert same(*nets[:2]) and not same(*nets[1:])


# ---- training


class Spy(TwoLayerNet):
    """Keeps each batch that it is trained on."""

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        if y is not None:
            self.seen = [*getattr(self, "seen", []), np.array(X)]
        return super().loss(X, y, reg, rng=rng)


NUMBERED = np.arange(23.0)[:, None], np.zeros(23, int), np.zeros((2, 1)), np.zeros(2, int)


def test_epochs_visit_every_row_once_in_a_new_order_each():
    net = Spy(1, 1, 1, "zeros", rng=0)
    net.train(*NUMBERED, epochs=3, batch_size=5)
    assert [len(batch) for batch in net.seen] == [5, 5, 5, 5, 3] * 3
    orders = [np.concatenate(net.seen[i : i + 5])[:, 0].tolist() for i in (0, 5, 10)]
    assert all(sorted(order) == list(range(23)) for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_num_iters_draws_with_replacement_as_cs231n_does():
    np.random.seed(0)
    net = Spy(1, 1, 1, "zeros")
    net.train(*NUMBERED, num_iters=4, batch_size=9)
    np.random.seed(0)
    for batch in net.seen:
        assert batch[:, 0].tolist() == np.random.choice(23, 9).tolist()


def test_images_are_flattened_and_converted_before_the_first_step():
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 3), np.uint8)
    net = Spy(12, 5, 2, 1e-3, dtype=np.float32, rng=0)
    net.train(images, [0] * 7, images, [0] * 7, epochs=2, batch_size=4)
    assert [batch.shape for batch in net.seen] == [(4, 12), (3, 12)] * 2
    assert {batch.dtype for batch in net.seen} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "batch_size, steps", [(10, [1, 7, 13, 19]), (25, [1, 3, 5, 7]), (99, [1, 2, 3])]
)
def test_num_iters_records_and_decays_where_an_epoch_ends(batch_size, steps):
    """N / batch_size need not be whole: 60 // 25 = 2. See cs231n's issue 185."""
    history = make().train(*DATA, 0.1, 0.5, num_iters=20, batch_size=batch_size)
    assert history["step_history"][: len(steps)] == steps
    assert history["learning_rate_history"][:3] == [0.1, 0.05, 0.025]
    lengths = {name: len(values) for name, values in history.items()}
    assert lengths.pop("loss_history") == 20
    names = ("train_acc", "val_acc", "val_loss", "learning_rate", "step")
    assert lengths == dict.fromkeys([f"{n}_history" for n in names], lengths["step_history"])


def test_keep_best_of_3200_rows_and_batches_of_150_keeps_a_trained_net():
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((4, 10))
    labels = rng.integers(0, 4, 3700)
    points = centres[labels] + 0.5 * rng.standard_normal((3700, 10))
    data = points[:3200], labels[:3200], points[3200:], labels[3200:]
    net = TwoLayerNet(10, 20, 4, "he", rng=0)
    history = net.train(*data, 0.1, num_iters=200, batch_size=150, keep_best=True)
    assert history["step_history"] == list(range(1, 201, 21)) and net.accuracy(*data[2:]) > 0.9


def test_records_of_an_epoch():
    net = make()
    history = net.train(*DATA, 0.1, 0.9, 0.01, epochs=4, batch_size=60, optimizer="momentum")
    assert history is net.history and history["step_history"] == [1, 2, 3, 4]
    assert np.allclose(history["learning_rate_history"], 0.1 * 0.9 ** np.arange(4), rtol=1e-14)
    assert history["val_acc_history"][-1] == net.accuracy(X_val, y_val)
    val_loss = net.loss(X_val, y_val, 0.01)[0]
    assert history["val_loss_history"][-1] == pytest.approx(val_loss, rel=1e-12)


def test_training_accuracy_is_that_of_the_batch():
    net = make(rng=None)
    np.random.seed(1)
    history = net.train(*DATA, num_iters=1, batch_size=7)
    np.random.seed(1)
    rows = np.random.choice(60, 7)
    assert history["train_acc_history"] == [net.accuracy(X[rows], y[rows])] != [net.accuracy(X, y)]


def test_a_function_sets_the_rate_of_each_step():
    progress = []

    def schedule(t):
        progress.append(t)
        return 0.1 * (1 - t)

    history = make().train(*DATA, schedule, 0.5, epochs=2, batch_size=15)
    assert progress == [i / 8 for i in range(8)]
    assert history["learning_rate_history"] == [0.1 * (1 - 3 / 8), 0.1 * (1 - 7 / 8)]


def reference(optimizer, w, g, t, state, lr, momentum, rho, beta1, beta2, eps):
    """The step t = 1, 2, ... by the textbook, out of place."""
    v, m, s = state.get("v", 0), state.get("m", 0), state.get("s", 0)
    if optimizer == "sgd":
        return w - lr * g
    if optimizer == "momentum":
        state["v"] = momentum * v - lr * g
        return w + state["v"]
    if optimizer == "rmsprop":
        state["s"] = rho * s + (1 - rho) * g**2
        return w - lr * g / (np.sqrt(state["s"]) + eps)
    state["m"], state["s"] = beta1 * m + (1 - beta1) * g, beta2 * s + (1 - beta2) * g**2
    m_hat, s_hat = state["m"] / (1 - beta1**t), state["s"] / (1 - beta2**t)
    return w - lr * m_hat / (np.sqrt(s_hat) + eps)


DEFAULTS = {"momentum": 0.9, "rho": 0.99, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.8, "rho": 0.9, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3}]
)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_takes_the_steps_of_the_optimizer(optimizer, options):
    net, other, states = make(), make(), {name: {} for name in ("W1", "b1", "W2", "b2")}
    data = X[[0] * 6], y[[0] * 6], X_val, y_val  # every batch is the same
    net.train(*data, 0.05, 1.0, 0.01, epochs=2, batch_size=2, optimizer=optimizer, **options)
    for t in range(1, 7):
        for name, g in other.loss(data[0], data[1], 0.01)[1].items():
            w, settings = other.params[name], DEFAULTS | options
            other.params[name] = reference(optimizer, w, g, t, states[name], 0.05, **settings)
    for name, w in net.params.items():
        assert np.allclose(w, other.params[name], rtol=1e-9, atol=1e-12), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_alone_changes_arrays_of_any_shape_in_place(optimizer):
    update, slots = OPTIMIZERS[optimizer]
    w, g = np.random.default_rng(1).standard_normal((2, 3, 4, 5))
    moved, kept, state = w.copy(), [np.zeros_like(w) for _ in range(slots)], {}
    for t in (1, 2, 3):
        update(moved, g, *kept, lr=0.1, t=t)
        w = reference(optimizer, w, g, t, state, 0.1, **DEFAULTS)
    assert np.allclose(moved, w, rtol=1e-12)


def test_a_large_net_is_updated_everywhere():
    rng = np.random.default_rng(0)
    net, big = TwoLayerNet(2001, 400, 3, 0.01, rng=0), rng.standard_normal((5, 2001))
    before, labels = net.params["W1"].copy(), [0, 1, 2, 0, 1]
    gradient = net.loss(big, labels, 0.1)[1]["W1"]
    net.train(big, labels, big, labels, 0.5, reg=0.1, epochs=1, optimizer="momentum")
    assert np.allclose(net.params["W1"], before - 0.5 * gradient, rtol=1e-9, atol=1e-14)


def test_a_subclass_with_another_loss_is_what_is_trained():
    class Lost(TwoLayerNet):
        def loss(self, X, y=None, reg=0.0):
            if y is None:
                return super().loss(X)
            loss, grads = super().loss(X, y, reg)
            return loss, {k: g - reg * self.params[k] * (k[0] == "W") for k, g in grads.items()}

    right, wrong = make(), Lost(6, 8, 3, 0.5, rng=0)
    options = {"learning_rate": 0.1, "epochs": 3, "batch_size": 7}
    wrong.train(*DATA, reg=0.1, **options)
    right.train(*DATA, reg=0.05, **options)  # without the 2 the penalty pulls half as much
    assert all(np.allclose(right.params[k], w, rtol=1e-9) for k, w in wrong.params.items())


def test_verbose_prints_the_courses_line_or_one_an_epoch(capsys):
    net = make()
    history = net.train(*DATA, 0.1, num_iters=201, verbose=True)
    assert capsys.readouterr().out.splitlines() == [
        f"iteration {it} / 201: loss {history['loss_history'][it]:f}" for it in (0, 100, 200)
    ]
    history = net.train(*DATA, 0.1, epochs=2, batch_size=60, verbose=True)
    (loss, _), (accuracy, _) = history["loss_history"], history["val_acc_history"]
    line, _ = capsys.readouterr().out.splitlines()
    assert line == f"epoch 1 / 2: loss {loss:f}, val acc {accuracy:.4f}"
    assert len(net.train(*DATA)["loss_history"]) == 100 and capsys.readouterr().out == ""


def test_augment_gets_images_of_the_shape_they_came_in_and_the_nets_generator():
    shapes = []

    def augment(X_batch, rng):
        shapes.append((X_batch.shape, rng))
        return np.zeros_like(X_batch)

    images, net = X.reshape(60, 2, 3), make()
    before = net.params["W1"].copy()
    net.train(images, y, X_val, y_val, 0.1, reg=0, epochs=1, batch_size=50, augment=augment)
    assert shapes == [((50, 2, 3), net.rng), ((10, 2, 3), net.rng)]
    assert np.array_equal(net.params["W1"], before) and net.params["b2"].any()


def test_callback_sees_each_epoch_and_ends_training_by_returning_true():
    seen = []

    def callback(net, history):
        seen.append((net, len(history["val_acc_history"])))
        return len(seen) == 2

    net = make()
    assert len(net.train(*DATA, epochs=5, callback=callback)["step_history"]) == 2
    assert seen == [(net, 1), (net, 2)]


def test_keep_best_ends_with_the_best_epoch():
    nets, options = [make(), make()], {"learning_rate": 0.1, "epochs": 9, "batch_size": 10}
    params = []
    nets[0].train(*DATA, **options, callback=lambda net, _: params.append(net.params["W1"].copy()))
    history = nets[1].train(*DATA, **options, keep_best=True)
    best = int(np.argmax(history["val_acc_history"]))
    assert 0 < best < 8 and np.array_equal(nets[1].params["W1"], params[best])
    assert np.array_equal(nets[0].params["W1"], params[-1])


def test_arrays_taken_before_training_are_valid_after():
    net = make()
    before = dict(net.params)
    net.train(*DATA, 0.1, epochs=2, keep_best=True, optimizer="adam")
    assert all(net.params[name] is w for name, w in before.items())


def test_ctrl_c_loses_no_curve():
    net = make()

    def interrupt(net, history):
        if len(history["step_history"]) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        net.train(*DATA, epochs=9, callback=interrupt)
    assert len(net.history["val_acc_history"]) == 3 and len(net.history["loss_history"]) == 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_divergence_names_step_and_rate_and_puts_the_parameters_back(optimizer):
    net = make()
    arrays, before = dict(net.params), {name: w.copy() for name, w in net.params.items()}
    with pytest.raises(FloatingPointError, match=r"step \d+ of 40, rate 1e\+200.*smaller rate"):
        net.train(1e100 * X, y, X_val, y_val, 1e200, epochs=40, optimizer=optimizer)
    assert all(np.array_equal(arrays[name], before[name]) for name in before)
    assert all(net.params[name] is w for name, w in arrays.items())
    net.train(*DATA, 0.1, epochs=2, optimizer=optimizer)
    assert math.isfinite(net.history["loss_history"][-1])


def test_divergence_loses_no_curve():
    net = make()
    with pytest.raises(FloatingPointError, match="step 4 of 10"):
        net.train(*DATA, lambda t: 0.1 if t < 0.4 else 1e300, epochs=10, batch_size=60)
    assert [len(net.history[f"{name}_history"]) for name in ("loss", "val_acc", "step")] == [4] * 3


def test_a_last_step_that_diverges_is_noticed_though_no_epoch_ends_with_it():
    with pytest.raises(FloatingPointError, match="step 1 of 2"):
        make().train(*DATA, lambda t: 1e300 if t else 0.1, num_iters=2, batch_size=20)


def test_numbers_close_to_the_smallest_float32_become_zero():
    """Products of them are many times slower than others."""
    net, dark = make(dtype=np.float32), np.where([1, 0, 1, 1, 1, 1], X, 0)
    net.params["W1"][1] = 1e-38  # gets no gradient
    net.train(dark, y, X_val, y_val, reg=0, num_iters=1)
    assert not net.params["W1"][1].any()
    net.params["b2"][:] = [80, 0, 0]  # p_2 is about 2e-35
    assert net.loss(0 * X, [0] * 60)[1]["b2"].tolist() == [0, 0, 0]


# ---- what students do wrong


def mistakes():
    yield {"y": y[:, None]}, r"y must have shape \(60,\), got \(60, 1\); give y.ravel\(\)$"
    yield {"y": np.eye(3)[y]}, r"y must have shape \(60,\), got \(60, 3\).*y.argmax\(axis=1\)"
    yield {"y": y[:50]}, r"y must have shape \(60,\), got \(50,\)"
    yield {"y": y.astype(float)}, r"y holds float64: give integers, y.astype\(int\)"
    yield {"y": y.astype(str)}, r"y holds <U21: give integers, y.astype\(int\)"
    yield {"y": y + 1}, r"y must be in 0\.\.2, got 1\.\.3"
    yield {"y": y - 1}, r"y must be in 0\.\.2, got -1\.\.1"
    yield {"X": X[:, :5]}, r"X must be \(N, 6\).*got \(60, 5\)"
    yield {"X": np.where(X > 2, np.nan, X)}, "X has NaN"


@pytest.mark.parametrize("wrong, message", [*mistakes()])
def test_wrong_data_says_what_to_do(wrong, message):
    net, right = make(), {"X": X, "y": y}
    data = right | wrong
    with pytest.raises(ValueError, match="^" + message):
        net.loss(**data)
    with pytest.raises(ValueError, match="^" + message):
        net.train(**data, X_val=X_val, y_val=y_val)
    with pytest.raises(ValueError, match="^" + message.replace(" ", "_val ", 1)):
        net.train(X, y, data["X"], data["y"])
    with pytest.raises(ValueError, match="NaN" if "NaN" in message else "^" + message):
        net.accuracy(**data)


def test_one_class_for_two_labels_gets_a_hint():
    with pytest.raises(ValueError, match=r"0\.\.0, got 0\.\.1 \(output_size must be larger"):
        TwoLayerNet(6, 4, 1).loss(X, y % 2)


def test_a_single_row_and_nan_are_named_in_scoring():
    with pytest.raises(ValueError, match=r"one row is X\[None\]"):
        make().predict(X[0])
    with pytest.raises(ValueError, match="NaN"):
        make().predict(np.full((2, 6), np.nan))
    assert make().predict(X[:1]).shape == (1,)


def test_parameters_that_are_not_finite_are_named_before_training():
    net = make()
    net.params["W2"][0, 0] = np.inf
    with pytest.raises(ValueError, match="W2 has NaN or infinite values"):
        net.train(*DATA)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"activation": "swish"}, "activation must be one of.*'relu'.*got 'swish'"),
        ({"criterion": "hinge"}, "criterion must be one of.*got 'hinge'"),
        ({"std": "lecun"}, "std must be one of.*'he'.*got 'lecun'"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"dropout": -0.1}, "dropout must be in"),
    ],
)
def test_unknown_options_of_a_net(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"optimizer": "adagrad"}, "optimizer must be one of.*'adam'.*got 'adagrad'"),
        ({"learning_rate": 0}, "learning_rate must be > 0, got 0"),
        ({"learning_rate": -0.1}, "learning_rate must be > 0"),
        ({"num_iters": 100, "epochs": 2}, "num_iters or epochs, not both"),
        ({"momentun": 0.9}, "unexpected keyword argument 'momentun'"),
    ],
)
def test_unknown_options_of_training(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make().train(*DATA, **options)


def test_the_file_works_when_copied_alone(tmp_path):
    shutil.copy(two_layer_net.__file__, tmp_path)
    code = """import sys; sys.path.insert(0, "."); import numpy as np
from two_layer_net import TwoLayerNet
net, X = TwoLayerNet(4, 5, 2, rng=0), np.ones((3, 4))
net.train(X, [0, 1, 0], X, [0, 1, 0], epochs=1, checkpoint="c.npz")
net.save("n.npz")
print(TwoLayerNet.load("n.npz").predict(X).shape)"""
    run = [sys.executable, "-I", "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "(3,)\n", done.stderr
    lines = Path(two_layer_net.__file__).read_text().splitlines()
    imports = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert imports <= {"numpy", *sys.stdlib_module_names}
