import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import gradient_check
from gradient_check import (
    check_gradients,
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    example,
    grad_check_sparse,
    main,
    rel_error,
)
from two_layer_net import ACTIVATIONS, CRITERIA, TwoLayerNet

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40)
CHECKS = {  # each of the three functions, for a function f of x that returns a number
    "eval_numerical_gradient": lambda f, x, **options: eval_numerical_gradient(f, x, False, **options),
    "eval_numerical_gradient_array": lambda f, x, **options: eval_numerical_gradient_array(
        f, x, 1, **options
    ),
    "grad_check_sparse": lambda f, x, **options: grad_check_sparse(f, x, np.zeros(np.shape(x)), **options),
}
every_check = pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())


def plant(monkeypatch, change):
    """Plant a bug in the gradients that every net derives."""
    loss = TwoLayerNet.loss

    def wrong(self, X, y=None, reg=0.0, *, rng=None):
        answer = loss(self, X, y, reg, rng=rng)
        if y is not None:
            change(self, answer[1], reg)
        return answer

    monkeypatch.setattr(TwoLayerNet, "loss", wrong)


def forget_the_2(net, grads, reg):
    grads["W1"] -= reg * net.params["W1"]
    grads["W2"] -= reg * net.params["W2"]


# ---- the course's three functions


def test_signatures():
    for function, signature in (
        (eval_numerical_gradient, "(f, x, verbose=True, h=1e-05)"),
        (eval_numerical_gradient_array, "(f, x, df, h=1e-05)"),
        (grad_check_sparse, "(f, x, analytic_grad, num_checks=10, h=1e-05)"),
    ):
        assert str(inspect.signature(function)) == signature


@SETTINGS
@given(
    hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=3, max_side=3), elements=st.floats(-3, 3))
)
def test_eval_numerical_gradient(x):
    before = x.copy()
    gradient = eval_numerical_gradient(lambda x: np.sum(np.sin(x) + x**2), x, verbose=False)
    assert gradient.shape == x.shape and gradient.dtype == x.dtype
    np.testing.assert_allclose(gradient, np.cos(x) + 2 * x, atol=1e-8)
    assert x.tobytes() == before.tobytes()


def test_it_is_a_centred_difference():
    x, h = np.array([1.0]), 0.1
    assert eval_numerical_gradient(lambda x: x[0] ** 2, x, False, h)[0] == pytest.approx(2, rel=1e-12)
    assert eval_numerical_gradient(lambda x: x[0] ** 3, x, False, h)[0] == pytest.approx(3 + h**2, rel=1e-12)


def test_prints_of_eval_numerical_gradient(capsys):
    x = np.arange(6.0).reshape(2, 3)
    gradient = eval_numerical_gradient(lambda x: float(np.sum(x * x)), x)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"({i}, {j}) {gradient[i, j]}" for i in range(2) for j in range(3)]
    eval_numerical_gradient(np.sum, x, verbose=False)
    assert capsys.readouterr().out == ""


@SETTINGS
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_eval_numerical_gradient_array(N, D, M, seed):
    rng = np.random.default_rng(seed)
    x, W, df = rng.standard_normal((N, D)), rng.standard_normal((D, M)), rng.standard_normal((N, M))
    gradient = eval_numerical_gradient_array(lambda x: np.tanh(x @ W), x, df)
    np.testing.assert_allclose(gradient, df * (1 - np.tanh(x @ W) ** 2) @ W.T, atol=1e-8)


def test_a_function_that_returns_the_same_array_again():
    out = np.empty(3)
    x = np.array([0.5, -1.0, 2.0])
    gradient = eval_numerical_gradient_array(lambda x: np.multiply(x, x, out=out), x, np.ones(3))
    np.testing.assert_allclose(gradient, 2 * x, rtol=1e-9)


def test_grad_check_sparse(capsys):
    x = np.random.default_rng(0).standard_normal((3, 4))
    before, wrong = x.copy(), 2 * x
    wrong[1, 2] += 1
    np.random.seed(0)
    assert grad_check_sparse(lambda x: np.sum(x**2), x, wrong, num_checks=200) is None
    lines = capsys.readouterr().out.splitlines()
    pattern = r"numerical: (-?\d+\.\d{6}) analytic: (-?\d+\.\d{6}), relative error: (\d\.\d{6}e[-+]\d\d)"
    seen = {tuple(map(float, re.fullmatch(pattern, line).groups())) for line in lines}
    assert len(lines) == 200 and {len(row) for row in seen} == {3}
    assert {analytic for _, analytic, _ in seen} == set(wrong.ravel().round(6))  # every element was drawn
    for numerical, analytic, error in seen:
        assert (error > 1e-3) == (analytic == wrong[1, 2].round(6))
        if error > 1e-3:
            expected = abs(numerical - analytic) / (abs(numerical) + abs(analytic))
            assert error == pytest.approx(expected, rel=1e-4)
    assert x.tobytes() == before.tobytes()
    grad_check_sparse(np.sum, x, np.ones((3, 4)))
    assert len(capsys.readouterr().out.splitlines()) == 10


def test_grad_check_sparse_wants_a_gradient_like_x():
    with pytest.raises(ValueError, match=r"analytic_grad.*\(3, 4\).*\(4, 3\)"):
        grad_check_sparse(np.sum, np.zeros((3, 4)), np.zeros((4, 3)))


@every_check
@pytest.mark.parametrize("calls", [0, 1])
def test_x_is_restored_when_f_raises(check, calls):
    x = np.array([[0.1, -0.0], [1e-9, 1e10]])
    before, left = x.copy(), [calls]

    def f(x):
        if not left[0]:
            raise ZeroDivisionError
        left[0] -= 1
        return np.sum(x)

    with pytest.raises(ZeroDivisionError):
        check(f, x)
    assert x.tobytes() == before.tobytes()


@every_check
@pytest.mark.parametrize("x", [np.arange(4), np.array([True, False])])
def test_x_must_be_floats(check, x):
    before = x.copy()
    with pytest.raises(TypeError, match=f"x must be an array of floats, got {x.dtype}"):
        check(np.sum, x)
    assert np.array_equal(x, before)


@every_check
def test_steps_that_cannot_be_taken(check):
    for h in (0, -1e-5, np.nan):
        with pytest.raises(ValueError, match=rf"h must be in \(0, inf\), got {h}"):
            check(np.sum, np.ones(2), h=h)
    x = np.full(2, 1e6, np.float32)
    with pytest.raises(ValueError, match=r"h=1e-05 .*1000000.*float32"):
        check(np.sum, x)
    assert (x == 1e6).all()


def test_float32_steps_are_measured_as_they_are_rounded():
    x = np.array([1.0, 3.0, 100.0], np.float32)
    gradient = eval_numerical_gradient(lambda x: float(np.sum(x.astype(float) * 2)), x, False, h=1e-4)
    np.testing.assert_allclose(gradient, 2, rtol=1e-6)


# ---- rel_error


def test_rel_error():
    assert rel_error([1.0, 2.0], [1.0, 2.0]) == 0
    assert rel_error([1.0, 2.0], [1.0, 3.0]) == pytest.approx(1 / 5)
    assert rel_error(np.array([[0.0], [1.0]]), np.array([[1e-10], [1.0]])) == pytest.approx(1e-2)
    assert rel_error(0.0, 0.0) == 0 and rel_error(-1.0, 1.0) == 1
    assert type(rel_error(1, 2)) is float
    assert np.isnan(rel_error([1.0, np.nan], [1.0, 1.0]))
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        rel_error([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="shape"):
        rel_error(np.ones((2, 1)), np.ones(2))  # which numpy would broadcast


@SETTINGS
@given(
    hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e9, 1e9)),
    hnp.arrays(np.float64, (3, 2), elements=st.floats(-1e9, 1e9)),
)
def test_rel_error_of_any_arrays(x, y):
    expected = max(abs(a - b) / max(1e-8, abs(a) + abs(b)) for a, b in zip(x.flat, y.flat, strict=True))
    assert rel_error(x, y) == rel_error(y, x) == pytest.approx(expected)


# ---- check_gradients


def test_check_gradients_of_a_right_net():
    net, X, y = example("tanh", "softmax", 0.5)
    params, state = {name: w.copy() for name, w in net.params.items()}, str(net.rng.bit_generator.state)
    arrays = dict(net.params)
    errors = check_gradients(net, X, y, reg=0.1)
    assert list(errors) == ["W1", "b1", "W2", "b2"]
    assert all(type(error) is float and error < 1e-6 for error in errors.values())
    assert all(net.params[name] is w and np.array_equal(w, params[name]) for name, w in arrays.items())
    assert str(net.rng.bit_generator.state) == state


def test_check_gradients_finds_a_forgotten_2(monkeypatch):
    net, X, y = example("relu", "softmax", 0.0)
    plant(monkeypatch, forget_the_2)
    errors = check_gradients(net, X, y, reg=0.1)
    assert errors["W1"] > 1e-3 and errors["W2"] > 1e-3
    assert errors["b1"] < 1e-6 and errors["b2"] < 1e-6
    assert max(check_gradients(net, X, y).values()) < 1e-6  # nothing is wrong without regularization


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_check_gradients_finds_one_wrong_element(name, monkeypatch):
    def change(net, grads, reg):
        grads[name].flat[-1] += 1e-3

    net, X, y = example("sigmoid", "mse", 0.0)
    plant(monkeypatch, change)
    errors = check_gradients(net, X, y, reg=0.1)
    assert [wrong for wrong, error in errors.items() if error > 1e-4] == [name]


def test_check_gradients_of_a_float32_net():
    net = TwoLayerNet(4, 5, 3, 0.5, activation="tanh", dropout=0.3, dtype=np.float32, rng=0)
    X, y = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6) % 3
    assert max(check_gradients(net, X, y, reg=0.1).values()) < 1e-6
    assert net.dtype == np.float32 and all(w.dtype == np.float32 for w in net.params.values())


def test_check_gradients_passes_errors_on():
    net, X, y = example("tanh", "softmax", 0.0)
    with pytest.raises(ValueError, match="reg"):
        check_gradients(net, X, y, reg=-1)
    with pytest.raises(ValueError, match="X"):
        check_gradients(net, X[:, :2], y)


# ---- the script


def test_main(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.startswith(ACTIVATIONS)]
    assert len(rows) == 16
    options = [(a, c, d) for a in ACTIVATIONS for c in CRITERIA for d in ("0", "0.5")]
    assert [tuple(row[:3]) for row in rows] == options
    assert all(len(row) == 7 and float(error) <= 1e-7 for row in rows for error in row[3:])
    assert lines[-1] == "all within 1e-07"


def test_main_finds_a_bug(capsys, monkeypatch):
    plant(monkeypatch, forget_the_2)
    assert main([]) == 1
    out = capsys.readouterr().out
    assert out.count("WRONG") == 16 and out.splitlines()[-1].startswith("16 of 16")


def test_main_finds_a_bug_of_one_option(capsys, monkeypatch):
    def change(net, grads, reg):
        if net.criterion == "mse" and net.activation == "tanh":
            grads["b2"] *= np.nan

    plant(monkeypatch, change)
    assert main([]) == 1
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines() if "WRONG" in line] == [
        ["tanh", "mse"],
        ["tanh", "mse"],
    ]


def test_command_line():
    script = Path(gradient_check.__file__)
    run = subprocess.run([sys.executable, script, "--help"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr == "" and "gradients" in run.stdout
    with pytest.raises(SystemExit) as stopped:
        main(["--colour"])
    assert stopped.value.code == 2
