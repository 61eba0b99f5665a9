"""Numerical gradients, to check derived ones against.

    python gradient_check.py                  # a table: every option of the class, every parameter
    check_gradients(net, X, y, reg=0.1)       # your own net, on a few rows of your own data

The centred difference (f(x + h) - f(x - h)) / 2h is the slope of f but for some h**2, and rounding
errors of some 1e-16 / h. A relative error of 1e-7 or less says that a gradient is right, of 1e-2 or
more that it is wrong. See https://cs231n.github.io/neural-networks-3/#gradcheck.
"""

import argparse
import copy
import itertools
import sys

import numpy as np


def rel_error(x, y):
    """The largest relative difference of two arrays: max |x - y| / max(1e-8, |x| + |y|)."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.shape != y.shape:
        raise ValueError(f"x and y must have the same shape, got {x.shape} and {y.shape}")
    return float(np.max(np.abs(x - y) / np.maximum(1e-8, np.abs(x) + np.abs(y))))


def _values(f, x, i, places):
    """f with x[i] moved by each of places; afterwards x is as before."""
    if getattr(x, "dtype", None) != np.float64:
        raise ValueError("x must be a float64 array: in others a small step is lost in rounding")
    old, values = x[i], []
    try:
        for place in places:
            x[i] = old + place
            values.append(np.array(f(x), np.float64))  # a copy, as f may use its array again
    finally:
        x[i] = old
    return values


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """The gradient at x of sum(f(x) * df), where f returns an array of the shape of df."""
    grad = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        after, before = _values(f, x, i, (h, -h))
        grad[i] = np.sum((after - before) * df) / (2 * h)
    return grad


def eval_numerical_gradient(f, x, verbose=True, h=1e-5):
    """The gradient at the float64 array x, which is changed meanwhile, of a number f(x)."""
    grad = eval_numerical_gradient_array(f, x, 1.0, h)
    for i in np.ndindex(x.shape) if verbose else ():
        print(i, grad[i])
    return grad


def grad_check_sparse(f, x, analytic_grad, num_checks=10, h=1e-5):
    """Print numerical and analytic gradient at num_checks elements drawn by np.random."""
    for _ in range(num_checks):
        i = tuple(np.random.randint(n) for n in x.shape)
        after, before = _values(f, x, i, (h, -h))
        numerical, analytic = (after - before) / (2 * h), analytic_grad[i]
        error = f"relative error: {rel_error(numerical, analytic):e}"
        print(f"numerical: {numerical:f} analytic: {analytic:f}, {error}")


def check_gradients(net, X, y, reg=0.0):
    """rel_error between analytic and numerical gradient for each parameter: {"W1": error, ...}.

    Works on a float64 copy of net, with one dropout mask. A step across the kink of ReLU mixes two
    slopes, so where the gradients differ smaller steps and steps to one side are tried: a right one
    agrees with one of them. Takes five calls of net.loss or more for each number in params.
    """
    net, errors = copy.deepcopy(net), {}
    net.dtype = np.dtype(float)
    net.params = {name: np.array(w, np.float64) for name, w in net.params.items()}
    mask = {"rng": 0} if getattr(net, "dropout", 0) else {}
    grads = net.loss(X, y, reg, **mask)[1]
    for name, i in [(k, i) for k, w in net.params.items() for i in np.ndindex(w.shape)]:
        error = np.inf
        for h in (1e-3, 1e-4, 1e-5):
            steps = (-2 * h, -h, 0, h, 2 * h)
            f = _values(lambda _: net.loss(X, y, reg, **mask)[0], net.params[name], i, steps)
            slopes = [(8 * (f[3] - f[1]) - (f[4] - f[0])) / (12 * h)]  # error of order h**4
            if h == 1e-5:  # to the right and to the left, error of order h**2
                slopes += [(4 * f[3] - 3 * f[2] - f[4]) / (2 * h)]
                slopes += [(3 * f[2] - 4 * f[1] + f[0]) / (2 * h)]
            error = min([error, *(rel_error(slope, grads[name][i]) for slope in slopes)])
            if min(abs(s - grads[name][i]) for s in slopes) < 1e-15 * abs(f[2]) / h:  # rounding
                error = min(error, 1e-8)
            if error <= 1e-8:
                break
        errors[name] = max(errors.get(name, 0.0), error)
    return errors


def main(arguments=None):
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(description=__doc__, formatter_class=formatter).parse_args(arguments)
    from two_layer_net import TwoLayerNet  # here, so that the functions work without it

    rng, failed = np.random.default_rng(0), 0
    X, y = rng.standard_normal((5, 4)), rng.integers(0, 3, 5)
    print("largest |analytic - numerical| / (|analytic| + |numerical|) for each parameter\n")
    print(f"{'activation':<12}{'criterion':<11}{'dropout':<9}{'W1':>9}{'b1':>9}{'W2':>9}{'b2':>9}")
    options = ("relu", "leaky_relu", "tanh", "sigmoid"), ("softmax", "mse"), (0.0, 0.5)
    for activation, criterion, dropout in itertools.product(*options):
        given = {"activation": activation, "criterion": criterion, "dropout": dropout}
        errors = check_gradients(TwoLayerNet(4, 6, 3, "xavier", rng=rng, **given), X, y, reg=0.1)
        wrong = max(errors.values()) > 1e-7
        failed += wrong
        row = "".join(f"{error:9.1e}" for error in errors.values()) + "   WRONG" * wrong
        print(f"{activation:<12}{criterion:<11}{dropout:<9g}{row}")
    print(f"\n{failed} of 16 over 1e-07" if failed else "\nall within 1e-07")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
