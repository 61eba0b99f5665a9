"""Numerical gradients: cs231n's functions, the check of a net, the table."""

import copy
import itertools
import subprocess
import sys
from pathlib import Path

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
    assert rel_error([1.0, 2.0, 4.0], [1.0, 3.0, 4.0]) == 0.2
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
    x = X.copy()
    gradient = eval_numerical_gradient_array(lambda x: x**3 @ W, x, df, h=0.5)
    assert gradient == pytest.approx(df @ W.T * (3 * X**2 + 0.25))
    assert np.array_equal(x, X)


def test_gradient_of_an_array_that_f_fills_anew_in_each_call():
    out = np.empty((5, 4))
    df = np.ones((5, 4))
    gradient = eval_numerical_gradient_array(lambda x: np.power(x, 3, out=out), X.copy(), df)
    assert rel_error(gradient, 3 * X**2) < 1e-7


def test_df_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"df.*\(5, 4\).*\(4,\)"):
        eval_numerical_gradient_array(np.exp, X.copy(), np.ones(4))


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
def test_x_in_which_a_small_step_would_be_lost_is_refused(x):
    with pytest.raises(ValueError, match="float64"):
        eval_numerical_gradient(np.sum, x, verbose=False)
    with pytest.raises(ValueError, match="float64"):
        eval_numerical_gradient_array(np.exp, x, np.ones(2))
    with pytest.raises(ValueError, match="float64"):
        grad_check_sparse(np.sum, x, np.ones(2))


def test_sparse_check_prints_both_slopes_and_their_error(capsys):
    x = np.array([1.0])
    grad_check_sparse(sum_of_cubes, x, np.array([9.75]), num_checks=1, h=0.5)
    line = capsys.readouterr().out
    assert "numerical: 3.250000 analytic: 9.750000" in line
    assert float(line.split()[-1]) == 0.5
    assert x == 1.0


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
@pytest.mark.parametrize("criterion", ["softmax", "mse"])
@pytest.mark.parametrize("std", [0.1, 1.0])
@pytest.mark.parametrize("reg", [0.0, 0.05])
def test_no_false_alarm(activation, criterion, std, reg):
    # Large inputs saturate sigmoid and tanh, and bring units close to ReLU's kink.
    for seed in range(3):
        rng = np.random.default_rng(seed)
        net = TwoLayerNet(4, 5, 3, std, activation=activation, criterion=criterion, rng=rng)
        inputs = 10 * rng.standard_normal((3, 4))
        errors = check_gradients(net, inputs, rng.integers(0, 3, 3), reg)
        assert list(errors) == NAMES
        assert max(errors.values()) < 1e-7, seed


@pytest.mark.parametrize("weight", [1e-3, 3e-4, 1e-4, 1e-5, -1e-3, -3e-4, -1e-4, -1e-5])
def test_no_false_alarm_next_to_the_kink_of_relu(weight):
    net = TwoLayerNet(1, 1, 2, 1.0, rng=0)
    net.params["W1"][:] = weight  # times X = 1: the distance from the kink, within reach of a step
    assert max(check_gradients(net, [[1.0]], [1]).values()) < 1e-7


def test_no_false_alarm_between_two_kinks_of_relu():
    net = TwoLayerNet(1, 1, 2, 1.0, rng=0)
    net.params["W1"][:] = 0.0
    net.params["b1"][:] = 5e-5  # the rows below have their kinks at W1 = -5e-5 and 5e-5
    assert max(check_gradients(net, [[1.0], [-1.0]], [1, 0]).values()) < 1e-7


class OneNumber:
    """A net of a single parameter w, 0.3 at first, with a loss and a slope that are given."""

    def __init__(self, loss, slope, w=0.3):
        self.given_loss = loss
        self.slope = np.array([slope])
        self.params = {"w": np.array([w])}

    def loss(self, X, y=None, reg=0.0):
        return self.given_loss(self.params["w"][0]), {"w": self.slope}


@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_either_slope_at_the_kink_itself_is_right(slope):
    net = OneNumber(lambda w: 1 + max(0.0, w), slope, w=0.0)
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_slope_that_fits_neither_side_of_a_kink_is_wrong():
    net = OneNumber(lambda w: 1 + max(0.0, w), 0.7, w=0.0)
    assert check_gradients(net, X, y)["w"] > 1e-2


def test_no_false_alarm_where_the_loss_bends_strongly():
    net = OneNumber(lambda w: 2 + np.sin(300 * w), 300 * np.cos(90))
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_no_false_alarm_where_large_terms_of_the_loss_cancel():
    net = OneNumber(lambda w: 1e5 + np.sin(w) - 1e5, np.cos(0.3))
    assert check_gradients(net, X, y)["w"] < 1e-7


def test_small_slope_of_twice_its_size_is_wrong():
    net = OneNumber(lambda w: 1 + 1e-6 * w, 2e-6)
    assert check_gradients(net, X, y)["w"] == pytest.approx(1 / 3, rel=1e-2)


def test_no_false_alarm_where_the_gradients_of_a_sigmoid_are_tiny():
    net = TwoLayerNet(4, 6, 3, 1.0, activation="sigmoid", rng=0)
    net.params["b1"][:] = 20.0
    _, grads = net.loss(X, y)
    assert 0 < np.abs(grads["W1"]).max() < 1e-7
    assert max(check_gradients(net, X, y).values()) < 1e-7


# ---- check_gradients: wrong gradients are found


class Spoilt(TwoLayerNet):
    """A net whose gradients are changed by a function spoil(grads)."""

    def __init__(self, spoil, **options):
        super().__init__(4, 6, 3, "xavier", rng=0, **options)
        self.spoil = spoil

    def loss(self, X, y=None, reg=0.0):
        loss, grads = super().loss(X, y, reg)
        self.spoil(grads)
        return loss, grads


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("end", [0, -1])
def test_one_element_that_is_off_by_1_percent_is_found(activation, name, end):
    def spoil(grads):
        candidates = np.flatnonzero(np.abs(grads[name]) > 1e-6)
        grads[name].flat[candidates[end]] *= 1.01

    errors = check_gradients(Spoilt(spoil, activation=activation), X, y, reg=0.05)
    assert errors.pop(name) == pytest.approx(0.005, rel=0.02)
    assert max(errors.values()) < 1e-7


def test_gradient_of_nan_is_wrong():
    def spoil(grads):
        grads["b1"][2] = np.nan

    assert not check_gradients(Spoilt(spoil), X, y)["b1"] < 1e-2


@pytest.mark.parametrize(
    "change, shape", [(np.transpose, r"\(6, 4\) \(transposed\?\)$"), (np.ravel, r"\(24,\)$")]
)
def test_gradient_of_another_shape_is_refused(change, shape):
    def spoil(grads):
        grads["W1"] = change(grads["W1"])

    with pytest.raises(ValueError, match=r"W1.*\(4, 6\).*" + shape):
        check_gradients(Spoilt(spoil), X, y)


def test_gradients_keyed_by_other_names_are_named():
    def spoil(grads):
        grads["dW1"] = grads.pop("W1")

    with pytest.raises(ValueError, match=r"no gradient of W1.*'dW1'"):
        check_gradients(Spoilt(spoil), X, y)


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


def test_loss_that_returns_only_the_loss_gets_a_sentence():
    class OnlyLoss(OwnNet):
        def loss(self, X, y=None, reg=0.0):
            return super().loss(X, y, reg)[0]

    with pytest.raises(ValueError, match=r"return \(loss, grads\)"):
        check_gradients(OnlyLoss(), X, y)


def test_loss_of_each_row_gets_a_sentence():
    class LossOfEachRow(OwnNet):
        def loss(self, X, y=None, reg=0.0):
            loss, grads = super().loss(X, y, reg)
            return np.full(len(X), loss), grads

    with pytest.raises(ValueError, match=r"a number and a dict"):
        check_gradients(LossOfEachRow(), X, y)


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_for_the_tiny_weights_of_the_default_std(seed):
    net = TwoLayerNet(4, 6, 3, rng=seed)
    errors = check_gradients(net, X, y, reg=0.1)
    assert max(errors.values()) < 1e-7


def test_own_class_in_a_folder_of_its_own(tmp_path):
    own = """
import numpy as np

class MyNet:
    def __init__(self):
        self.params = {"W1": np.array([[1.0, 2.0]])}

    def loss(self, X, y=None, reg=0.0):
        W1 = self.params["W1"]
        return np.sum((X @ W1) ** 2), {"W1": 2 * X.T @ (X @ W1)}
"""
    use = """
import numpy as np
from gradient_check import check_gradients
from two_layer_net import MyNet

print(check_gradients(MyNet(), np.ones((3, 1)), None)["W1"] < 1e-7)
"""
    (tmp_path / "two_layer_net.py").write_text(own)
    (tmp_path / "use.py").write_text(use)
    (tmp_path / "gradient_check.py").write_bytes(Path(gradient_check.__file__).read_bytes())
    command = [sys.executable, "use.py"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr


# ---- check_gradients leaves the net alone


class Drawing(TwoLayerNet):
    """Draws a number from its generator in each loss."""

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        self.rng.random()
        return super().loss(X, y, reg, rng=rng)


def test_a_float32_net_with_dropout_is_checked_in_a_copy():
    net = Drawing(4, 6, 3, "he", dropout=0.5, dtype=np.float32, rng=0)
    arrays = dict(net.params)
    before = copy.deepcopy(net)
    assert max(check_gradients(net, X, y, reg=0.1).values()) < 1e-7
    assert net.dtype == np.float32
    assert net.rng.bit_generator.state == before.rng.bit_generator.state
    for name, array in arrays.items():
        assert net.params[name] is array
        assert array.dtype == np.float32
        assert np.array_equal(array, before.params[name])


# ---- The command


def test_table_has_a_row_for_each_combination_of_options(capsys):
    assert gradient_check.main([]) == 0
    output = capsys.readouterr().out
    rows = [line.split() for line in output.splitlines() if line.startswith(tuple(ACTIVATIONS))]
    combinations = itertools.product(ACTIVATIONS, ["softmax", "mse"], ["0", "0.5"])
    for row, options in zip(rows, combinations, strict=True):
        assert row[:3] == list(options)
        assert len(row) == 7
        assert max(float(error) for error in row[3:]) < 1e-7
    assert "WRONG" not in output
    assert output.endswith("all within 1e-07\n")


def test_wrong_gradient_is_marked_and_gives_exit_code_1(capsys, monkeypatch):
    right_loss = TwoLayerNet.loss

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        loss, grads = right_loss(self, X, y, reg, rng=rng)
        if (self.activation, self.criterion, self.dropout) == ("tanh", "mse", 0.5):
            grads["W1"] -= reg * self.params["W1"]
        return loss, grads

    monkeypatch.setattr(TwoLayerNet, "loss", loss)
    assert gradient_check.main([]) == 1
    output = capsys.readouterr().out
    marked = [line.split()[:3] for line in output.splitlines() if line.endswith("WRONG")]
    assert marked == [["tanh", "mse", "0.5"]]
    assert "1 of 16" in output
    assert "all within" not in output


def test_help_says_what_the_command_does(capsys):
    with pytest.raises(SystemExit) as ended:
        gradient_check.main(["--help"])
    assert ended.value.code == 0
    assert "python gradient_check.py" in capsys.readouterr().out
