"""Numerical gradients: cs231n's functions, the check of a net, the table."""

import copy
import itertools
import shutil
import subprocess
import sys

import numpy as np
import pytest

import gradient_check
from gradient_check import (
    check_gradients,
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    grad_check_sparse,
    rel_error,
)
from two_layer_net import ACTIVATIONS, TwoLayerNet

X = np.random.default_rng(0).standard_normal((5, 4))
y = np.array([0, 1, 2, 2, 1])
NAMES = ["W1", "b1", "W2", "b2"]


def sum_of_cubes(x):
    return np.sum(x**3)


# ---- rel_error


def test_rel_error_is_the_largest_one():
    assert rel_error([1.0, 0.2], [1.0, 0.3]) == pytest.approx(0.2, rel=1e-12)
    assert rel_error([2.0, 1.0], [-2.0, 1.0]) == 1.0


def test_rel_error_of_numbers_below_1e_8_is_relative_to_1e_8():
    assert rel_error(0.0, 0.0) == 0.0
    assert rel_error(0.0, 1e-9) == pytest.approx(0.1)


def test_rel_error_with_nan_is_nan():
    assert np.isnan(rel_error([1.0, np.nan], [1.0, 1.0]))


def test_rel_error_refuses_shapes_that_would_be_broadcast():
    with pytest.raises(ValueError, match=r"same shape.*\(3,\).*\(3, 1\)"):
        rel_error(np.ones(3), np.ones((3, 1)))


# ---- The functions of cs231n


def test_gradient_of_a_number_takes_a_step_of_h_to_both_sides():
    x = X.copy()
    gradient = eval_numerical_gradient(sum_of_cubes, x, verbose=False, h=0.5)
    # ((x + h)**3 - (x - h)**3) / 2h = 3 x**2 + h**2
    assert gradient == pytest.approx(3 * X**2 + 0.25)
    assert np.array_equal(x, X)


def test_gradient_prints_each_slope_by_default(capsys):
    eval_numerical_gradient(sum_of_cubes, np.ones((2, 2)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("(0, 1) ")
    assert float(lines[1].split()[-1]) == pytest.approx(3)


def test_gradient_prints_nothing_without_verbose(capsys):
    eval_numerical_gradient(np.sum, np.zeros(2), verbose=False)
    assert capsys.readouterr().out == ""


def test_gradient_of_a_vector_is_refused_with_the_function_to_use():
    with pytest.raises(ValueError, match=r"number.*\(3,\).*eval_numerical_gradient_array"):
        eval_numerical_gradient(lambda x: 2 * x, np.ones(3), verbose=False)


def test_gradient_of_an_array_takes_a_step_of_h_to_both_sides():
    rng = np.random.default_rng(1)
    W = rng.standard_normal((4, 2))
    df = rng.standard_normal((5, 2))
    out = np.empty((5, 2))

    def f(x):
        return np.matmul(x**3, W, out=out)  # the same array in each call

    gradient = eval_numerical_gradient_array(f, X.copy(), df, h=0.5)
    assert gradient == pytest.approx(df @ W.T * (3 * X**2 + 0.25))


def test_gradient_of_an_array_takes_small_steps_by_default():
    gradient = eval_numerical_gradient_array(np.exp, X.copy(), np.ones((5, 4)))
    assert rel_error(gradient, np.exp(X)) < 1e-7


def test_df_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"df.*\(5, 4\).*\(20, 1\)"):
        eval_numerical_gradient_array(np.exp, X.copy(), np.ones((20, 1)))


@pytest.mark.parametrize("failing_call", [1, 2])
def test_x_is_put_back_when_f_raises(failing_call):
    x = np.ones(3)
    calls = []

    def f(x):
        calls.append(1)
        if len(calls) == failing_call:
            raise RuntimeError
        return x.sum()

    with pytest.raises(RuntimeError):
        eval_numerical_gradient(f, x)
    assert np.array_equal(x, np.ones(3))


@pytest.mark.parametrize("x", [np.ones(2, np.float32), np.ones(2, int), [1.0, 1.0]])
@pytest.mark.parametrize(
    "check", [eval_numerical_gradient, eval_numerical_gradient_array, grad_check_sparse]
)
def test_x_in_which_a_small_step_would_be_lost_is_refused(check, x):
    with pytest.raises(ValueError, match="float64"):
        check(np.exp, x, np.ones(2))


def test_sparse_check_prints_both_slopes_and_their_error(capsys):
    grad_check_sparse(sum_of_cubes, np.array([1.0]), np.array([9.75]), num_checks=1, h=0.5)
    line = capsys.readouterr().out
    assert "numerical: 3.250000 analytic: 9.750000" in line
    assert float(line.split()[-1]) == 0.5


def test_sparse_check_draws_its_places_from_the_global_generator(capsys):
    np.random.seed(0)
    grad_check_sparse(sum_of_cubes, X.copy(), 3 * X**2)
    lines = capsys.readouterr().out.splitlines()
    np.random.seed(0)
    assert len(lines) == 10
    for line in lines:
        row = np.random.randint(5)
        column = np.random.randint(4)
        assert f"analytic: {3 * X[row, column] ** 2:f}" in line
        assert float(line.split()[-1]) < 1e-7


def test_sparse_check_refuses_an_analytic_gradient_of_another_shape():
    with pytest.raises(ValueError, match=r"analytic_grad.*\(5, 4\)"):
        grad_check_sparse(sum_of_cubes, X.copy(), np.ones((4, 5)))


# ---- check_gradients: right gradients raise no alarm


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("std", [1e-4, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm(activation, std, seed):
    # Large inputs saturate sigmoid and tanh, and bring units close to ReLU's kink.
    net = TwoLayerNet(4, 5, 3, std, activation=activation, rng=seed)
    errors = check_gradients(net, 10 * X, y, reg=0.05)
    assert list(errors) == NAMES
    assert max(errors.values()) < 1e-7


@pytest.mark.parametrize("weight", [1e-3, 1e-4, 1e-5, -1e-3, -1e-4, -1e-5])
def test_no_false_alarm_next_to_the_kink_of_relu(weight):
    net = TwoLayerNet(1, 1, 2, 1.0, rng=0)
    net.params["W1"][:] = weight  # times X = 1: the distance from the kink, within reach of a step
    assert max(check_gradients(net, [[1.0]], [1]).values()) < 1e-7


class OneNumber:
    """A net of a single parameter w, 0.3 at first, with a loss and a slope that are given."""

    def __init__(self, loss, slope, w=0.3):
        self.given_loss = loss
        self.slope = np.array([slope])
        self.params = {"w": np.array([w])}

    def loss(self, X, y=None, reg=0.0):
        return self.given_loss(self.params["w"][0]), {"w": self.slope}


@pytest.mark.parametrize("slope", [-1.0, 1.0])
def test_either_slope_at_the_kink_itself_is_right(slope):
    net = OneNumber(lambda w: 1 + abs(w), slope, w=0.0)
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_slope_that_fits_neither_side_of_a_kink_is_wrong():
    net = OneNumber(lambda w: 1 + abs(w), 0.7, w=0.0)
    assert check_gradients(net, X, y)["w"] > 1e-2


def test_no_false_alarm_where_the_loss_bends_strongly():
    net = OneNumber(lambda w: 2 + np.sin(300 * w), 300 * np.cos(90))
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_no_false_alarm_where_the_loss_is_large():
    net = OneNumber(lambda w: 1e8 + np.sin(w), np.cos(0.3))
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_no_false_alarm_where_large_terms_of_the_loss_cancel():
    net = OneNumber(lambda w: 1e5 + np.sin(w) - 1e5, np.cos(0.3))
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_small_slope_of_twice_its_size_is_wrong():
    net = OneNumber(lambda w: 1 + 1e-6 * w, 2e-6)
    assert check_gradients(net, X, y)["w"] == pytest.approx(1 / 3, rel=1e-2)


# ---- check_gradients: wrong gradients are found


def spoilt(spoil):
    """A net whose gradients are changed by a function spoil(grads)."""

    class Spoilt(TwoLayerNet):
        def loss(self, X, y=None, reg=0.0):
            loss, grads = super().loss(X, y, reg)
            spoil(grads)
            return loss, grads

    return Spoilt(4, 6, 3, "xavier", activation="tanh", rng=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_element_that_is_off_by_1_percent_is_found(name, place):
    def spoil(grads):
        grads[name].flat[place] *= 1.01

    errors = check_gradients(spoilt(spoil), X, y, reg=0.05)
    assert errors.pop(name) == pytest.approx(0.005, rel=0.02)
    assert max(errors.values()) < 1e-7


def test_gradient_of_nan_is_wrong():
    def spoil(grads):
        grads["b1"][2] = np.nan

    assert not check_gradients(spoilt(spoil), X, y)["b1"] < 1e-2


@pytest.mark.parametrize(
    "change, shape", [(np.transpose, r"\(6, 4\) \(transposed\?\)$"), (np.ravel, r"\(24,\)$")]
)
def test_gradient_of_another_shape_is_refused(change, shape):
    def spoil(grads):
        grads["W1"] = change(grads["W1"])

    with pytest.raises(ValueError, match=r"W1.*\(4, 6\).*" + shape):
        check_gradients(spoilt(spoil), X, y)


def test_gradients_keyed_by_other_names_are_named():
    def spoil(grads):
        grads["dW1"] = grads.pop("W1")

    with pytest.raises(ValueError, match=r"no gradient of W1.*'dW1'"):
        check_gradients(spoilt(spoil), X, y)


# ---- check_gradients: nets of a student's own


class OwnNet:
    """A line with the squared error: its bias is a row, and its loss takes no rng."""

    def __init__(self):
        self.params = {"W": np.ones((4, 1)), "b": np.ones((1, 1))}

    def loss(self, X, y=None, reg=0.0):
        residuals = X @ self.params["W"] + self.params["b"] - y[:, None]
        dW = 2 * X.T @ residuals
        db = 2 * residuals.sum(axis=0, keepdims=True)
        return np.sum(residuals**2), {"W": dW, "b": db}


def test_own_net_with_a_bias_as_a_row_and_a_loss_without_rng():
    errors = check_gradients(OwnNet(), X, y)
    assert list(errors) == ["W", "b"]
    assert max(errors.values()) < 1e-7


def test_loss_without_rng_gets_a_sentence_where_there_is_dropout():
    net = OwnNet()
    net.dropout = 0
    check_gradients(net, X, y)
    net.dropout = 0.5
    with pytest.raises(ValueError, match=r"dropout = 0.*rng"):
        check_gradients(net, X, y)


@pytest.mark.parametrize("result", [1.5, (1.5, 2.5), (np.ones(5), {})])
def test_loss_that_returns_something_else_gets_a_sentence(result):
    net = OwnNet()
    net.loss = lambda X, y, reg: result
    with pytest.raises(ValueError, match=r"return \(loss, grads\), a number and a dict"):
        check_gradients(net, X, y)


def test_the_file_works_without_two_layer_net(tmp_path):
    shutil.copy(gradient_check.__file__, tmp_path)
    command = [sys.executable, "-c", "import gradient_check"]
    assert subprocess.run(command, cwd=tmp_path).returncode == 0


# ---- check_gradients leaves the net alone


def test_a_float32_net_with_dropout_is_checked_in_a_copy():
    net = TwoLayerNet(4, 6, 3, "he", dropout=0.5, dtype=np.float32, rng=0)
    before = copy.deepcopy(net.params)
    assert max(check_gradients(net, X, y, reg=0.1).values()) < 1e-7
    assert net.dtype == np.float32
    for name, w in before.items():
        assert net.params[name].dtype == np.float32
        assert np.array_equal(net.params[name], w)


# ---- The command


def test_table_has_a_row_for_each_combination_of_options(capsys):
    assert gradient_check.main([]) == 0
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines() if line.startswith(tuple(ACTIVATIONS))]
    combinations = itertools.product(ACTIVATIONS, ["softmax", "mse"], ["0", "0.5"])
    for row, options in zip(rows, combinations, strict=True):
        assert row[:3] == list(options)
        assert len(row) == 7
    assert output.endswith("all within 1e-07\n")


def test_wrong_gradient_is_marked_and_gives_exit_code_1(capsys, monkeypatch):
    right_loss = TwoLayerNet.loss

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        loss, grads = right_loss(self, X, y, reg, rng=rng)
        if (self.activation, self.criterion, self.dropout) == ("tanh", "mse", 0.5):
            grads["W1"] += 1e-6 * reg
        return loss, grads

    monkeypatch.setattr(TwoLayerNet, "loss", loss)
    assert gradient_check.main([]) == 1
    output = capsys.readouterr().out
    marked = [line.split()[:3] for line in output.splitlines() if line.endswith("WRONG")]
    assert marked == [["tanh", "mse", "0.5"]]
    assert output.endswith("1 of 16 over 1e-07\n")
