"""The class: formulas, training, mistakes that students make."""

import contextlib
import copy
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import two_layer_net
from gradient_check import check_gradients
from two_layer_net import ACTIVATIONS, OPTIMIZERS, TwoLayerNet, sigmoid, softmax

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 6))
y = RNG.integers(0, 3, 60)
X_val = RNG.standard_normal((20, 6))
y_val = RNG.integers(0, 3, 20)

# Points around three centres, which a net learns easily.
CENTRES = 3 * RNG.standard_normal((3, 6))
EASY = CENTRES[y] + X
EASY_VAL = CENTRES[y_val] + X_val


def make(**options):
    return TwoLayerNet(6, 8, 3, std=0.5, rng=0, **options)


@pytest.fixture
def net():
    return make()


def train(net, **options):
    return net.train(X, y, X_val, y_val, **options)


def assert_same(params, others):
    for name, w in params.items():
        assert np.array_equal(w, others[name]), name


# ---- the formulas


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("criterion", ["softmax", "mse"])
def test_gradients_are_the_numerical_ones(activation, criterion):
    net = make(activation=activation, leak=0.2, criterion=criterion, dropout=0.4)
    errors = check_gradients(net, X[:5], y[:5], reg=0.1)
    assert max(errors.values()) < 1e-7


@pytest.mark.parametrize(
    "activation, expected",
    [
        ("relu", [0, 3]),
        ("leaky_relu", [-0.02, 3]),
        ("tanh", np.tanh([-2, 3])),
        ("sigmoid", 1 / (1 + np.exp([2, -3]))),
    ],
)
def test_activations_are_what_their_names_say(activation, expected):
    net = TwoLayerNet(1, 1, 1, "zeros", activation=activation)
    net.params["W1"][:] = 1
    net.params["W2"][:] = 1
    scores = net.loss([[-2], [3]])
    assert np.allclose(scores.ravel(), expected, rtol=1e-14)


def test_sigmoid_of_large_numbers_does_not_overflow():
    F = sigmoid(np.array([-1e4, 0, 1e4]), leak=0.01)  # a warning of numpy's would raise
    assert F.tolist() == [0, 0.5, 1]


def test_softmax_gives_the_probabilities_of_scores_of_any_size():
    S = np.log([[1, 2, 5], [3, 3, 4]]) + np.array([[1e4], [-1e4]])
    assert np.allclose(softmax(S), [[1 / 8, 2 / 8, 5 / 8], [0.3, 0.3, 0.4]], rtol=1e-10)


def test_mean_squared_error_is_of_the_probabilities():
    net = make(criterion="mse")
    differences = softmax(net.loss(X)) - np.eye(3)[y]
    loss, _ = net.loss(X, y)
    assert loss == pytest.approx(np.mean(differences**2), rel=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_scores_have_a_finite_loss(dtype):
    net = TwoLayerNet(1, 1, 2, "zeros", dtype=dtype)
    net.params["b2"][:] = [1e6, 0]
    loss, grads = net.loss([[1]], [1])
    assert type(loss) is float
    assert loss == 1e6
    assert grads["b2"].tolist() == [1, -1]


@pytest.mark.parametrize("criterion", ["softmax", "mse"])
def test_evaluate_is_the_loss_of_the_data_alone_and_the_accuracy(criterion):
    net = make(criterion=criterion)
    loss, _ = net.loss(X, y)
    with_dropout = make(criterion=criterion, dropout=0.5)
    assert with_dropout.evaluate(X, y) == (pytest.approx(loss, rel=1e-13), net.accuracy(X, y))


def test_accuracy_is_the_share_of_right_predictions(net):
    right = net.predict(X)
    assert np.array_equal(right, net.loss(X).argmax(axis=1))
    right[:15] = (right[:15] + 1) % 3
    assert net.accuracy(X, right) == 0.75


# ---- options of a net


@pytest.mark.parametrize(
    "options, of_W1, of_W2",
    [
        ({}, 1e-4, 1e-4),
        ({"std": 0.1}, 0.1, 0.1),
        ({"std": "zeros"}, 0, 0),
        ({"std": "normal"}, 1, 1),
        ({"std": "xavier"}, math.sqrt(2 / 7), math.sqrt(2 / 5)),
        ({"std": "he"}, math.sqrt(2 / 4), math.sqrt(2 / 3)),
    ],
)
def test_std_of_the_weights(options, of_W1, of_W2):
    params = TwoLayerNet(4, 3, 2, rng=5, **options).params
    rng = np.random.default_rng(5)  # W1 is drawn first, then W2
    assert np.array_equal(params["W1"], of_W1 * rng.standard_normal((4, 3)))
    assert np.array_equal(params["W2"], of_W2 * rng.standard_normal((3, 2)))
    assert not params["b1"].any()
    assert not params["b2"].any()


@pytest.mark.parametrize(
    "options", [{"dropout": 0.4}, {"activation": "leaky_relu", "criterion": "mse"}]
)
def test_float32_stays_float32(options):
    net = make(dtype=np.float32, **options)
    for name, w in net.params.items():
        assert w.dtype == np.float32
        net.params[name] = w.astype(np.float64)
    _, grads = net.loss(X, y, np.float64(0.1))
    assert net.loss(X).dtype == np.float32
    for g in grads.values():
        assert g.dtype == np.float32


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_float64_numbers_as_options_change_no_bit_of_a_float32_training(optimizer):
    """They come from a sweep over np.logspace, say."""
    given = make(dtype=np.float32)
    rates = {"learning_rate": np.float64(0.01), "reg": np.float64(0.1)}
    train(given, epochs=2, optimizer=optimizer, **rates)
    usual = make(dtype=np.float32)
    train(usual, epochs=2, optimizer=optimizer, learning_rate=0.01, reg=0.1)
    assert_same(given.params, usual.params)


def test_lists_may_be_assigned_as_parameters(net):
    for name, w in net.params.items():
        net.params[name] = w.tolist()
    train(net, epochs=2)
    usual = make()
    train(usual, epochs=2)
    assert_same(net.params, usual.params)


def test_dropout_drops_its_share_of_each_row_and_scales_the_rest():
    net = TwoLayerNet(1, 10_000, 2, "zeros", dropout=0.3, rng=0)
    net.params["b1"][:] = 1
    _, grads = net.loss([[1], [1]], [0, 0])
    hidden = 4 * grads["W2"][:, 1]  # the sum of both rows, as dS is 1/4 there
    in_no_row = hidden == 0
    in_both_rows = np.isclose(hidden, 2 / 0.7)
    assert in_no_row.mean() == pytest.approx(0.3 * 0.3, abs=0.02)
    assert in_both_rows.mean() == pytest.approx(0.7 * 0.7, abs=0.02)


def test_rng_of_loss_fixes_the_dropout_mask():
    net = make(dropout=0.5)
    loss, _ = net.loss(X, y, rng=7)
    assert net.loss(X, y, rng=np.random.default_rng(7))[0] == loss
    assert net.loss(X, y, rng=8)[0] != loss


def test_the_net_draws_a_new_mask_for_each_loss():
    net = make(dropout=0.5)
    net.loss(X, y, rng=7)  # draws nothing from the net's own generator
    first = net.loss(X, y)[0]
    assert first == make(dropout=0.5).loss(X, y)[0]
    assert first != net.loss(X, y)[0]


# ---- batches


def batches_of(N, **options):
    """The batches of a training on the rows 0, 1, ... N - 1."""
    batches = []

    def augment(X_batch, rng):
        batches.append(X_batch.ravel().tolist())
        return X_batch

    rows = np.arange(N).reshape(N, 1)
    labels = np.zeros(N, int)
    net = TwoLayerNet(1, 1, 1, "zeros", rng=0)
    net.train(rows, labels, rows, labels, augment=augment, **options)
    return batches


def test_epochs_visit_every_row_once_in_a_new_order_each():
    batches = batches_of(23, epochs=2, batch_size=5)
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3, 5, 5, 5, 5, 3]
    first = np.concatenate(batches[:5])
    second = np.concatenate(batches[5:])
    assert sorted(first) == sorted(second) == list(range(23))
    assert not np.array_equal(first, second)


def test_a_hundred_steps_of_200_rows_if_nothing_is_given():
    assert [len(batch) for batch in batches_of(300)] == [200] * 100


# One byte after the start of a file's content, so that no number begins at a multiple of 8.
AFTER_A_HEADER = np.frombuffer(b"!" + X.tobytes(), offset=1).reshape(60, 6)


@pytest.mark.parametrize("otherwise", [AFTER_A_HEADER, np.asfortranarray(X)])
def test_data_that_lie_otherwise_in_memory_are_converted_before_training(otherwise):
    class Observed(TwoLayerNet):
        def loss(self, X, y=None, reg=0.0):
            assert X.flags.aligned
            assert X.flags.c_contiguous
            return super().loss(X, y, reg)

    Observed(6, 8, 3).train(otherwise, y, otherwise, y, epochs=1)


def test_labels_may_be_unsigned_as_in_the_files_of_mnist(net):
    assert net.loss(X, y.astype(np.uint8))[0] == net.loss(X, y)[0]


def test_augment_gets_images_as_they_came_and_the_nets_dtype_and_generator():
    net = make(dtype=np.float32)
    before = copy.deepcopy(net.params)
    calls = []

    def black(X_batch, rng):
        calls.append((X_batch.shape, X_batch.dtype, rng))
        return np.zeros_like(X_batch)

    images = X.reshape(60, 2, 3)
    net.train(images, y, X_val, y_val, reg=0, epochs=1, batch_size=60, augment=black)
    assert calls == [((60, 2, 3), np.float32, net.rng)]
    assert np.array_equal(net.params["W1"], before["W1"])  # black pixels have no gradient


# ---- records


def test_history_has_an_entry_a_step_or_an_epoch(net):
    history = train(net, epochs=4, batch_size=25)
    assert history is net.history
    lengths = {name: len(values) for name, values in history.items()}
    assert lengths.pop("loss_history") == 12
    assert set(lengths.values()) == {4}
    assert history["step_history"] == [3, 6, 9, 12]


def test_a_second_training_has_a_history_of_its_own(net):
    first = train(net, epochs=2)
    second = train(net, epochs=3)
    assert first["step_history"] == [1, 2]
    assert second["step_history"] == [1, 2, 3]


@pytest.mark.parametrize("batch_size, steps", [(25, [1, 3, 5, 7]), (99, [1, 2, 3, 4])])
def test_num_iters_ends_an_epoch_every_so_many_steps(batch_size, steps, net):
    """N / batch_size need not be whole: 60 // 25 = 2. See cs231n's issue 185."""
    history = train(net, num_iters=20, batch_size=batch_size)
    assert history["step_history"][:4] == steps


@pytest.mark.parametrize(
    "length, expected",
    [
        ({"epochs": 2}, [0.1, 0.1, 0.05, 0.05]),
        ({"num_iters": 4}, [0.1, 0.05, 0.05, 0.025]),  # the very first step is an epoch
    ],
)
def test_the_rate_decays_once_an_epoch(length, expected, net):
    rates = []

    def rule(w, g, state, learning_rate):
        rates.append(learning_rate)

    options = {"learning_rate": 0.1, "learning_rate_decay": 0.5, "batch_size": 30}
    train(net, optimizer=rule, **options, **length)
    assert rates[::4] == expected  # there are four parameters


def test_rate_and_decay_if_none_are_given(net):
    history = train(net, epochs=2)
    assert history["learning_rate_history"] == pytest.approx([1e-3, 0.95e-3], rel=1e-14)


def test_a_function_sets_the_rate_of_each_step(net):
    progress = []

    def schedule(t):
        progress.append(t)
        return 0.1 * t  # 0 at first, as in a warm-up

    # An epoch has two batches of 25 rows and one of 10: each is one step of six.
    history = train(net, learning_rate=schedule, epochs=2, batch_size=25)
    assert progress == [0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6]
    assert history["learning_rate_history"] == [0.1 * (2 / 6), 0.1 * (5 / 6)]


def test_penalty_history_holds_the_penalty_alone(net):
    history = train(net, epochs=1)
    squares = np.sum(net.params["W1"] ** 2) + np.sum(net.params["W2"] ** 2)
    assert history["penalty_history"] == pytest.approx([5e-6 * squares], rel=1e-12)


def test_training_accuracy_is_that_of_the_batch_with_num_iters(net):
    history = train(net, num_iters=1, batch_size=20)
    rows = make().rng.choice(60, 20)
    assert history["train_acc_history"] == [net.accuracy(X[rows], y[rows])]


def test_training_accuracy_is_that_of_as_many_first_rows_as_validation_has_with_epochs(net):
    history = train(net, epochs=1)
    assert history["train_acc_history"] == [net.accuracy(X[:20], y[:20])]


def test_verbose_prints_a_line_every_100_steps(net, capsys):
    losses = train(net, learning_rate=0.1, num_iters=201, verbose=True)["loss_history"]
    assert capsys.readouterr().out.splitlines() == [
        f"iteration 0 / 201: loss {losses[0]:f}",
        f"iteration 100 / 201: loss {losses[100]:f}",
        f"iteration 200 / 201: loss {losses[200]:f}",
    ]


def test_verbose_prints_a_line_an_epoch(net, capsys):
    history = train(net, epochs=2, batch_size=60, verbose=True)
    _, line = capsys.readouterr().out.splitlines()
    loss = history["loss_history"][1]
    train_acc = history["train_acc_history"][1]
    val_acc = history["val_acc_history"][1]
    figures = f"loss {loss:f}, train acc {train_acc:.4f}, val acc {val_acc:.4f}"
    assert line == f"epoch 2 / 2: {figures}"


@pytest.mark.parametrize("length", [{"num_iters": 10}, {"epochs": 2}])
def test_nothing_is_printed_unless_asked_for(length, net, capsys):
    train(net, **length)
    assert capsys.readouterr().out == ""


# ---- update rules

GRADIENTS = [1e-8, 0.5, -2.0, 3.0]  # the smallest shows where eps is added


def steps_of(optimizer, **options):
    """Where the rule takes a w of 1, by the gradients above."""
    w = np.array([1.0])
    state = {}
    path = []
    for g in GRADIENTS:
        OPTIMIZERS[optimizer](w, np.array([g]), state, 0.1, **options)
        path.append(w[0])
    return path


def test_sgd_by_the_textbook():
    assert steps_of("sgd") == pytest.approx(1 - 0.1 * np.cumsum(GRADIENTS), rel=1e-12)


def test_momentum_by_the_textbook():
    w = 1.0
    v = 0.0
    for g, found in zip(GRADIENTS, steps_of("momentum", momentum=0.8), strict=True):
        v = 0.8 * v - 0.1 * g
        w = w + v
        assert found == pytest.approx(w, rel=1e-12)


def test_rmsprop_by_the_textbook():
    w = 1.0
    s = 0.0
    for g, found in zip(GRADIENTS, steps_of("rmsprop", rho=0.9, eps=1e-7), strict=True):
        s = 0.9 * s + 0.1 * g**2
        w = w - 0.1 * g / (math.sqrt(s) + 1e-7)
        assert found == pytest.approx(w, rel=1e-12)


def test_adam_by_the_textbook():
    path = steps_of("adam", beta1=0.7, beta2=0.95, eps=1e-7)
    w = 1.0
    m = 0.0
    s = 0.0
    for i, g in enumerate(GRADIENTS):
        m = 0.7 * m + 0.3 * g
        s = 0.95 * s + 0.05 * g**2
        m_hat = m / (1 - 0.7 ** (i + 1))
        s_hat = s / (1 - 0.95 ** (i + 1))
        w = w - 0.1 * m_hat / (math.sqrt(s_hat) + 1e-7)
        assert path[i] == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize(
    "optimizer, usual",
    [
        ("momentum", {"momentum": 0.9}),
        ("rmsprop", {"rho": 0.99, "eps": 1e-8}),
        ("adam", {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
    ],
)
def test_options_of_the_update_rules_if_none_are_given(optimizer, usual):
    assert steps_of(optimizer) == steps_of(optimizer, **usual)


def test_an_update_rule_of_ones_own(net):
    def downwards(w, g, state, learning_rate, rho):
        state["steps"] = state.get("steps", 0) + 1
        w -= learning_rate * rho / state["steps"]

    # rho may have any size here, as the rule is not rmsprop.
    options = {"learning_rate": 0.1, "learning_rate_decay": 0.5, "rho": 8}
    train(net, epochs=2, optimizer=downwards, **options)
    for name, w in make().params.items():  # as they were before
        # The first step is 0.1 * 8, the second 0.05 * 8 / 2.
        assert np.allclose(w - net.params[name], 0.8 + 0.2), name


# ---- subclasses


class Scripted(TwoLayerNet):
    """Finds the validation accuracies that are given to it; then someone presses Ctrl-C."""

    def __init__(self, *accuracies):
        super().__init__(6, 8, 3, std=0.5, rng=0)
        self.accuracies = accuracies
        self.after_epochs = []  # the parameters

    def evaluate(self, X, y):
        epoch = len(self.after_epochs)
        if epoch == len(self.accuracies):
            raise KeyboardInterrupt
        self.after_epochs.append(copy.deepcopy(self.params))
        return 1.0, self.accuracies[epoch]


@pytest.mark.parametrize("epochs", [4, 9])  # Ctrl-C comes in the fifth
def test_keep_best_ends_with_the_first_of_the_best_epochs(epochs):
    net = Scripted(0.1, 0.3, 0.3, 0.2)
    with contextlib.suppress(KeyboardInterrupt):
        train(net, epochs=epochs, keep_best=True)
    assert_same(net.params, net.after_epochs[1])


def test_keep_best_may_end_with_the_parameters_of_the_last_step():
    net = Scripted(0.1, 0.3, 0.7)
    train(net, num_iters=5, batch_size=20, keep_best=True)  # epochs end with steps 1 and 4
    assert_same(net.params, net.after_epochs[2])


def test_ctrl_c_loses_no_curve():
    net = Scripted(0.2, 0.7)
    with pytest.raises(KeyboardInterrupt):
        train(net, epochs=9)
    assert net.history["val_acc_history"] == [0.2, 0.7]


# ---- functions that are given to train


def test_callback_sees_each_epoch(net):
    seen = []

    def callback(net, history):
        seen.append((net, len(history["val_acc_history"])))

    train(net, epochs=3, callback=callback)
    assert seen == [(net, 1), (net, 2), (net, 3)]


@pytest.mark.parametrize("answer, epochs", [(True, 1), (np.True_, 1), (1, 5), (np.ones(3), 5)])
def test_a_callback_ends_training_by_true_and_nothing_else(answer, epochs, net):
    """sys.stderr.write(".") returns 1, for one."""
    history = train(net, epochs=5, callback=lambda net, history: answer)
    assert len(history["step_history"]) == epochs


def test_numpy_warns_as_usual_in_functions_of_ones_own(net):
    usual = np.geterr()
    seen = []

    def rule(w, g, state, learning_rate):
        seen.append(np.geterr())

    train(net, epochs=1, optimizer=rule)
    assert seen == [usual] * 4  # there are four parameters


# ---- training that goes wrong


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_divergence_names_step_and_rate_and_puts_the_parameters_back(optimizer, net):
    with pytest.raises(FloatingPointError, match=r"step \d+ of 40, rate 1e\+200.*smaller rate"):
        train(net, learning_rate=1e200, epochs=40, optimizer=optimizer)
    assert_same(net.params, make().params)


def too_fast_at_the_end(progress):
    if progress < 0.5:
        return 0.1
    return 1e300


def test_divergence_loses_no_curve(net):
    with pytest.raises(FloatingPointError, match=r"step 4 of 8, rate 1e\+300"):
        train(net, learning_rate=too_fast_at_the_end, epochs=8)
    assert len(net.history["val_acc_history"]) == 4
    assert len(net.history["loss_history"]) == 5


def test_divergence_is_noticed_within_an_epoch(net):
    with pytest.raises(FloatingPointError, match=r"step 4 of 6.*the loss"):
        train(net, learning_rate=too_fast_at_the_end, epochs=1, batch_size=10)


@pytest.mark.parametrize("keep_best", [False, True])
def test_scores_that_overflow_after_the_last_step_are_noticed(keep_best, net):
    options = {"num_iters": 2, "batch_size": 20}  # no epoch ends with the second
    with pytest.raises(FloatingPointError, match="step 1 of 2"):
        train(net, learning_rate=too_fast_at_the_end, keep_best=keep_best, **options)
    assert_same(net.params, make().params)


def test_a_training_that_stays_at_guessing_says_what_to_try():
    with pytest.warns(UserWarning, match="1.09.*std='he'") as warned:
        train(TwoLayerNet(6, 8, 3, rng=0))
    assert warned[0].filename == __file__  # the line that called train, not one of the class


@pytest.mark.parametrize("criterion", ["softmax", "mse"])
def test_a_training_that_learns_no_more_than_the_shares_of_the_classes_says_so(criterion):
    net = make(criterion=criterion)
    labels = np.minimum(y, 1)  # one third, two thirds, none
    with pytest.warns(UserWarning, match="std='he'"):
        net.train(0 * X, labels, 0 * X_val, y_val, 1.0, 1.0, reg=0.001, epochs=300)


def test_a_loss_that_grows_says_what_to_try():
    net = TwoLayerNet(6, 8, 3, "he", rng=0)
    pixels = np.random.default_rng(1).integers(0, 256, (60, 6))
    with pytest.warns(UserWarning, match="loss went from .*smaller.*rate.*/ 255"):
        net.train(pixels, y, pixels, y, 0.5, reg=0.1, epochs=60)


def rebinds(w, g, state, learning_rate):
    w = w - learning_rate * g  # should be w -= ...


def test_a_rule_that_leaves_random_weights_as_they_are_is_noticed():
    net = TwoLayerNet(6, 8, 3, "normal", rng=0)  # its loss is well above that of guessing
    with pytest.warns(UserWarning, match="nothing was learned"):
        net.train(EASY, y, EASY_VAL, y_val, optimizer=rebinds, epochs=60)


class Reporting(TwoLayerNet):
    """Learns as ever, but returns start + growth * step as the loss of a batch."""

    def loss(self, X, y=None, reg=0.0):
        if y is None:
            return super().loss(X)
        _, grads = super().loss(X, y)
        step = len(self.history["loss_history"])
        return self.start + self.growth * step, grads


@pytest.mark.parametrize("start, growth", [(2, 0), (0.001, 0.001)])
def test_a_net_that_learned_ends_without_a_warning_whatever_its_loss(start, growth):
    net = Reporting(6, 8, 3, "he", rng=0)
    net.start = start
    net.growth = growth
    history = net.train(EASY, y, EASY_VAL, y_val, 0.1, epochs=60)
    assert history["loss_history"][0] == start


def test_good_trainings_end_without_a_warning():
    net = TwoLayerNet(6, 8, 3, "he", rng=0)
    net.train(EASY, y, EASY_VAL, y_val, 0.1, epochs=60)
    assert net.accuracy(EASY_VAL, y_val) > 0.9
    net.train(EASY, y, EASY_VAL, y_val, 0.1, epochs=60)  # begins where the first one ended


def test_a_large_penalty_is_no_reason_for_a_warning():
    labels = (X[:, 0] > 0.8).astype(int)  # 42 and 18
    net = TwoLayerNet(6, 8, 3, "normal", rng=0)
    net.train(X, labels, X, labels, 0.1, 1.0, reg=0.01, epochs=60)
    assert net.accuracy(X, labels) > 0.9


# ---- what students do wrong

NAMES = np.array(["cat", "dog", "bird"])[y]

WRONG_DATA = [
    ("y", y.reshape(60, 1), r"\(60,\).*\(60, 1\).*{name}\.ravel\(\)"),
    ("y", np.eye(3)[y], r"\(60,\).*\(60, 3\).*{name}\.argmax\(axis=1\)"),
    ("y", y[:50], r"\(60,\).*\(50,\)"),
    ("y", y.astype(float), r"float64.*{name}\.astype\(int\)"),
    ("y", NAMES, r"np\.unique\({name}, return_inverse=True\)\[1\]"),
    ("y", y + 1, r"0\.\.2.* 1\.\.3.*output_size"),
    ("y", y - 1, r"0\.\.2.* -1\.\.1"),
    ("X", X[:, :5], r"\(N, 6\).*\(60, 5\)"),
    ("X", np.where(X > 2, np.nan, X), "NaN"),
    ("X", np.where(X > 2, np.inf, X), "infinite"),
]


@pytest.mark.parametrize("name, wrong, message", WRONG_DATA)
@pytest.mark.parametrize("method", ["loss", "accuracy", "evaluate"])
def test_wrong_data_say_what_to_do(method, name, wrong, message, net):
    data = {"X": X, "y": y}
    data[name] = wrong
    expected = "^{name} .*" + message
    with pytest.raises(ValueError, match=expected.format(name=name)):
        getattr(net, method)(**data)


@pytest.mark.parametrize("suffix", ["", "_val"])
@pytest.mark.parametrize("name, wrong, message", WRONG_DATA)
def test_wrong_data_are_named_before_training(suffix, name, wrong, message, net):
    data = {"X": X, "y": y, "X_val": X, "y_val": y}
    data[name + suffix] = wrong
    expected = "^{name} .*" + message
    with pytest.raises(ValueError, match=expected.format(name=name + suffix)):
        net.train(**data)
    assert_same(net.params, make().params)


def test_one_row_or_one_image_gets_a_hint(net):
    with pytest.raises(ValueError, match=r"x\[None\].*image.*data\.transform"):
        net.predict(X[0])
    assert net.predict(X[0][None]).shape == (1,)


@pytest.mark.parametrize("sizes", [(0, 8, 3), (6, 0, 3), (6, 8, 0)])
def test_sizes_below_1_are_refused(sizes):
    with pytest.raises(ValueError, match=r"sizes? .*at least 1"):
        TwoLayerNet(*sizes)


@pytest.mark.parametrize(
    "option, value",
    [
        ("activation", "swish"),
        ("criterion", "hinge"),
        ("std", "lecun"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("leak", -0.5),
        ("leak", 2),
        ("dtype", np.float16),
    ],
)
def test_options_of_a_net_out_of_their_range_are_refused(option, value):
    with pytest.raises(ValueError, match=f"^{option} "):
        TwoLayerNet(6, 8, 3, **{option: value})


@pytest.mark.parametrize(
    "option, value",
    [
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate_decay", 0),
        ("learning_rate_decay", 95),
        ("reg", -1),
        ("num_iters", 0),
        ("epochs", 0),
        ("batch_size", -5),
        ("momentum", 1.0),
        ("momentum", -0.1),
    ],
)
def test_options_of_training_out_of_their_range_are_refused(option, value, net):
    with pytest.raises(ValueError, match=f"^{option} .*{value}"):
        train(net, optimizer="momentum", **{option: value})


def test_an_unknown_optimizer_is_refused(net):
    with pytest.raises(ValueError, match=r"^optimizer .*adagrad.*adam"):
        train(net, optimizer="adagrad")


@pytest.mark.filterwarnings("ignore:nothing was learned")
def test_the_ends_of_the_ranges_are_allowed():
    make(leak=0)
    net = make(leak=1)
    options = {"learning_rate_decay": 1, "reg": 0, "epochs": 1, "batch_size": 1}
    train(net, optimizer="momentum", momentum=0, **options)


@pytest.mark.parametrize("option", ["momentum", "lerning_rate"])
def test_an_option_that_the_rule_does_not_have_is_refused(option, net):
    with pytest.raises(ValueError, match=f"'{option}'.*'sgd'"):
        train(net, **{option: 0.5})


def test_a_schedule_below_0_is_refused(net):
    with pytest.raises(ValueError, match=r"learning_rate\(0\.5\) is -0\.1"):
        train(net, learning_rate=lambda progress: 0.1 - 0.4 * progress, num_iters=2)


def test_num_iters_and_epochs_together_are_refused(net):
    with pytest.raises(ValueError, match=r"num_iters.*epochs.*both"):
        train(net, num_iters=10, epochs=2)


# ---- the file


def test_the_file_needs_numpy_and_nothing_else():
    allowed = {"numpy", *sys.stdlib_module_names}
    for line in Path(two_layer_net.__file__).read_text().splitlines():
        if line.lstrip().startswith(("import ", "from ")):
            assert line.split()[1] in allowed
