"""Numerical gradients: cs231n's functions, the check of a net and the table."""

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


def test_rel_error_is_the_largest_of_all_and_has_a_floor():
    assert rel_error([1.0, 2.0], [1.0, 3.0]) == 0.2
    assert rel_error(np.zeros(3), np.zeros(3)) == 0
    assert rel_error(0, 1e-9) == pytest.approx(0.1)  # below 1e-8 differences count by that
    assert np.isnan(rel_error([1.0, np.nan], [1.0, 1.0]))
    with pytest.raises(ValueError, match="same shape"):
        rel_error(np.ones(3), np.ones((3, 1)))  # would be nine numbers


def test_gradient_of_a_number(capsys):
    x = np.random.default_rng(0).standard_normal((3, 2))
    before = x.copy()
    gradient = eval_numerical_gradient(lambda x: np.sum(x**3), x)
    assert rel_error(gradient, 3 * x**2) < 1e-8
    assert (x == before).all()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6 and printed[1].startswith("(0, 1)")
    eval_numerical_gradient(np.sum, x, verbose=False)
    assert capsys.readouterr().out == ""


def test_gradient_of_an_array_also_where_f_returns_the_same_array_again():
    rng = np.random.default_rng(0)
    x, W, df = (rng.standard_normal(shape) for shape in ((4, 3), (3, 2), (4, 2)))
    out = np.empty((4, 2))
    gradient = eval_numerical_gradient_array(lambda x: np.dot(x, W, out=out), x, df)
    assert rel_error(gradient, df @ W.T) < 1e-7


def test_x_is_restored_when_f_fails():
    x = np.ones(3)

    def f(x):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        eval_numerical_gradient(f, x)
    assert (x == 1).all()


@pytest.mark.parametrize("x", [np.ones(2, np.float32), np.ones(2, int)])
def test_arrays_in_which_a_small_step_is_lost_are_refused(x):
    with pytest.raises(ValueError, match="float64"):
        eval_numerical_gradient(np.sum, x, verbose=False)


def test_sparse_check_prints_both_gradients_of_random_elements(capsys):
    x = np.random.default_rng(0).standard_normal((5, 4))
    np.random.seed(0)
    grad_check_sparse(lambda x: np.sum(x**2), x, 2 * x, num_checks=7)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and len(set(lines)) > 1
    assert all(float(line.split()[-1]) < 1e-7 for line in lines)
    rng = np.random.RandomState(0)
    i = tuple(rng.randint(n) for n in x.shape)
    assert f"analytic: {2 * x[i]:f}" in lines[0]
    grad_check_sparse(lambda x: np.sum(x**2), x, 3 * x, num_checks=1)
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(0.2, rel=1e-3)


def random_case(seed, activation, cls=TwoLayerNet):
    """cs231n's toy shape, whose large inputs leave many pre-activations near ReLU's kink."""
    rng = np.random.default_rng(seed)
    std, criterion = (0.1, 0.1, 1.0)[seed % 3], ("softmax", "mse")[seed % 2]
    net = cls(4, 10, 3, std, activation=activation, criterion=criterion, rng=rng)
    X, y = 10 * rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    return net, X, y, (0.0, 0.05)[seed // 2 % 2], rng


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_no_false_alarm_and_one_element_that_is_off_is_found(activation):
    class Off(TwoLayerNet):
        off = None

        def loss(self, X, y=None, reg=0.0, **options):
            loss, grads = super().loss(X, y, reg, **options)
            if self.off:
                name, i = self.off
                grads[name].flat[i] *= 1.01
            return loss, grads

    for seed in range(30):
        net, X, y, reg, rng = random_case(seed, activation, Off)
        assert max(check_gradients(net, X, y, reg).values()) < 1e-6, seed
        grads = net.loss(X, y, reg)[1]
        name = ("W1", "b1", "W2", "b2")[seed % 4]
        candidates = np.flatnonzero(np.abs(grads[name]) > 1e-6)
        if len(candidates):
            net.off = name, rng.choice(candidates)
            errors = check_gradients(net, X, y, reg)
            assert errors.pop(name) > 1e-3 and max(errors.values()) < 1e-6, seed


def test_the_kink_of_relu_raises_no_alarm():
    net = TwoLayerNet(1, 2, 2, 1.0, rng=0)
    net.params["W1"][:] = [[1e-5, -3e-6]]  # with X = 1 a step of 1e-4 crosses the kink
    assert max(check_gradients(net, [[1.0]], [1]).values()) < 1e-6


def test_a_float32_net_is_checked_in_float64_and_stays_as_it_is():
    rng = np.random.default_rng(0)
    net = TwoLayerNet(4, 6, 3, "he", dropout=0.5, dtype=np.float32, rng=0)
    before = {name: w.copy() for name, w in net.params.items()}
    X, y = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    errors = check_gradients(net, X, y, reg=0.1)
    assert list(errors) == ["W1", "b1", "W2", "b2"] and max(errors.values()) < 1e-7
    assert net.dtype == np.float32
    assert all((net.params[name] == w).all() for name, w in before.items())
    assert all(w.dtype == np.float32 for w in net.params.values())


def test_the_lost_factor_2_of_the_penalty_shows():
    class Lost(TwoLayerNet):
        def loss(self, X, y=None, reg=0.0, **options):
            loss, grads = super().loss(X, y, reg, **options)
            return loss, {k: g - reg * self.params[k] * (k[0] == "W") for k, g in grads.items()}

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    errors = check_gradients(Lost(4, 6, 3, 0.5, rng=0), X, y, reg=0.1)
    assert errors["W1"] > 1e-2 and errors["W2"] > 1e-2
    assert errors["b1"] < 1e-7 and errors["b2"] < 1e-7


def test_the_table_and_its_exit_code(capsys, monkeypatch):
    assert gradient_check.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith(tuple(ACTIVATIONS))]) == 16
    assert lines[-1] == "all within 1e-07"
    wrong = {"W1": 1e-3, "b1": 0.0, "W2": 0.0, "b2": 0.0}
    monkeypatch.setattr(gradient_check, "check_gradients", lambda *_, **__: wrong)
    assert gradient_check.main([]) == 1
    assert "16 of 16 over 1e-07" in capsys.readouterr().out


def test_it_works_beside_a_students_own_class(tmp_path):
    own = """
import numpy as np

class TwoLayerNet:
    def __init__(self):
        self.params = {"W1": np.array([[1.0, 2.0]])}

    def loss(self, X, y=None, reg=0.0):
        W = self.params["W1"]
        return np.sum((X @ W) ** 2), {"W1": 2 * X.T @ (X @ W)}
"""
    (tmp_path / "two_layer_net.py").write_text(own)
    source = Path(gradient_check.__file__).read_text(encoding="utf-8")
    (tmp_path / "gradient_check.py").write_text(source, encoding="utf-8")
    code = (
        "import numpy as np\nfrom gradient_check import check_gradients\n"
        "from two_layer_net import TwoLayerNet\n"
        "print(check_gradients(TwoLayerNet(), np.ones((3, 1)), None)['W1'] < 1e-7)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout.strip() == "True", run.stderr
