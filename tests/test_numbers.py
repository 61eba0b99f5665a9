"""Loss and gradients against 50-digit arithmetic, where double precision is easily lost."""

import mpmath
import numpy as np
import pytest

from two_layer_net import ACTIVATIONS, CRITERIA, TwoLayerNet


def exact(net, X, y, reg):
    """Loss and gradients by the definitions, from the very numbers that the net holds."""
    matrix = lambda a: [[mpmath.mpf(float(v)) for v in row] for row in np.atleast_2d(a)]  # noqa: E731
    W1, W2, X = matrix(net.params["W1"]), matrix(net.params["W2"]), matrix(X)
    (b1,), (b2,) = matrix(net.params["b1"]), matrix(net.params["b2"])
    D, H, C, N = len(W1), len(W2), len(b2), len(X)
    f, slope = {
        "relu": (lambda z: max(z, 0), lambda z: int(z > 0)),
        "leaky_relu": (
            lambda z: z if z > 0 else net.leak * z,
            lambda z: 1 if z > 0 else mpmath.mpf(net.leak),
        ),
        "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
        "sigmoid": (lambda z: 1 / (1 + mpmath.exp(-z)), lambda z: 1 / (2 + mpmath.exp(z) + mpmath.exp(-z))),
    }[net.activation]
    zeros = lambda *shape: np.full(shape, mpmath.mpf(0))  # noqa: E731
    loss, grads = mpmath.mpf(0), {"W1": zeros(D, H), "b1": zeros(H), "W2": zeros(H, C), "b2": zeros(C)}
    for n in range(N):
        Z = [b1[h] + sum(X[n][d] * W1[d][h] for d in range(D)) for h in range(H)]
        A = [f(z) for z in Z]
        S = [b2[c] + sum(A[h] * W2[h][c] for h in range(H)) for c in range(C)]
        exps = [mpmath.exp(s - max(S)) for s in S]
        P = [e / sum(exps) for e in exps]
        # 1 - p and P - Y by the other classes' share, which needs no more digits than the rest
        wrong = sum(e for c, e in enumerate(exps) if c != y[n]) / sum(exps)
        E = [-wrong if c == y[n] else P[c] for c in range(C)]
        if net.criterion == "softmax":
            loss += (mpmath.log1p(wrong / P[y[n]]) if P[y[n]] else mpmath.inf) / N
            dS = [e / N for e in E]
        else:
            loss += sum(e * e for e in E) / (N * C)
            dS = [2 * P[k] / (N * C) * sum(P[j] * (E[k] - E[j]) for j in range(C)) for k in range(C)]
        dZ = [slope(Z[h]) * sum(dS[c] * W2[h][c] for c in range(C)) for h in range(H)]
        for h in range(H):
            grads["b1"][h] += dZ[h]
            for d in range(D):
                grads["W1"][d, h] += X[n][d] * dZ[h]
            for c in range(C):
                grads["W2"][h, c] += A[h] * dS[c]
        for c in range(C):
            grads["b2"][c] += dS[c]
    for name, W in (("W1", W1), ("W2", W2)):
        loss += reg * sum(w * w for row in W for w in row)
        grads[name] += 2 * mpmath.mpf(reg) * np.array(W, dtype=object)
    return loss, grads


def compare(net, X, y, reg=0.0, tolerance=1e-12):
    """A gradient's error is measured against its largest number: sums over examples may cancel."""
    with mpmath.workdps(50):
        loss, grads = net.loss(X, y, reg)
        true_loss, true_grads = exact(net, X, y, reg)
        assert abs(mpmath.mpf(loss) - true_loss) <= tolerance * abs(true_loss) + 1e-307, (loss, true_loss)
        for name, true in true_grads.items():
            assert np.isfinite(grads[name]).all(), name
            difference = max(
                abs(mpmath.mpf(float(a)) - b) for a, b in zip(grads[name].flat, true.flat, strict=True)
            )
            largest = max(abs(b) for b in true.flat)
            assert difference <= tolerance * largest + 1e-307, (name, float(difference), float(largest))


def a_net(D=3, H=4, C=3, seed=0, **options):
    net = TwoLayerNet(D, H, C, "he", rng=seed, **options)
    rng = np.random.default_rng(seed)
    for b in ("b1", "b2"):
        net.params[b] += rng.standard_normal(net.params[b].size)
    return net, rng.standard_normal((4, D)), rng.integers(C, size=4)


both = pytest.mark.parametrize("criterion", CRITERIA)
every = pytest.mark.parametrize("activation", ACTIVATIONS)


@both
@every
@pytest.mark.parametrize("sizes", [(3, 4, 3), (1, 1, 1), (2, 1, 5), (5, 3, 1), (1, 6, 2)])
def test_ordinary(sizes, activation, criterion):
    net, X, y = a_net(*sizes, activation=activation, criterion=criterion)
    compare(net, X, y, 0.1)
    compare(net, X[:1], y[:1])


@both
@pytest.mark.parametrize("size", [1e-300, 1e-100, 1e-8, 1e-3, 30, 1e3, 1e8, 1e100, 1e300])
def test_scores_of_any_size(size, criterion):
    for seed in range(5):
        net, X, y = a_net(seed=seed, criterion=criterion)
        net.params["W2"] *= size
        net.params["b2"] *= size
        compare(net, X, y)


@both
@pytest.mark.parametrize(
    ("size", "reg"), [(1e160, 1e-200), (1e-170, 1e300), (1e-3, 1e308), (0, 1e308), (1e150, 1e-10)]
)
def test_penalties_of_any_size(size, reg, criterion):
    net, X, y = a_net(criterion=criterion)
    net.params["W1"] *= size
    net.params["W2"] *= min(1, size)
    net.params["W2"][0, 0] = 0
    net.params["b1"][:] = net.params["b2"][:] = 0
    compare(net, 0 * X, y, reg)


def test_a_penalty_in_single_precision():
    net = TwoLayerNet(1, 1, 1, dtype=np.float32)
    net.params["W1"][:], net.params["W2"][:] = 1e20, -1e-30
    assert net.loss([[0]], [0], 1e-5)[0] == pytest.approx(float(np.float32(1e20)) ** 2 * 1e-5, rel=1e-15)


@both
@pytest.mark.parametrize("margin", [0, 1e-9, 1, 20, 40, 200, 700])
@pytest.mark.parametrize("label", [0, 1, 2])
def test_sure_nets(label, margin, criterion):
    """Right or wrong with a probability that no double next to 1 can tell from 1."""
    net, X, _ = a_net(criterion=criterion)
    net.params["W2"] *= 1e-3
    net.params["b2"][:] = 0, -margin, -margin / 2
    compare(net, X[:1], [label])


@both
@pytest.mark.parametrize(
    "scores",
    [
        [0, 0, -100],
        [0, 0, -36.7],
        [0, 0, -30],
        [0, 1e-9, -40],
        [-1e-9, 0, -40],
        [0, 0, 0],
        [3, -50, -50],
        [-20, 0, -1e-6],
        [0, -1e-12, -2e-12],
        [-800, 0, 0],
    ],
)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_ties(label, scores, criterion):
    """Of the likeliest classes, where differences of probabilities lose all their digits."""
    net, X, _ = a_net(criterion=criterion)
    net.params["W2"][:] = 0
    net.params["b2"][:] = scores
    compare(net, X[:1], [label])
    with mpmath.workdps(100):  # of which the definitions lose 44; here the small gradients count, too
        found, true = net.loss(X[:1], [label])[1]["b2"], exact(net, X[:1], [label], 0)[1]["b2"]
        assert all(abs(a - b) <= 1e-12 * abs(b) + 1e-300 for a, b in zip(found, true, strict=True))


@pytest.mark.parametrize("C", [2, 3, 7])
def test_mse_of_many_scores(C):
    rng = np.random.default_rng(C)
    net, X, _ = a_net(C=C, criterion="mse")
    net.params["W2"][:] = 0
    for _ in range(200):
        net.params["b2"][:] = rng.choice([0, 1e-12, 1e-6, 0.1, 1, 30, 300], C) * rng.standard_normal(C)
        compare(net, X[:1], [int(rng.integers(C))])


@both
def test_all_classes_equal(criterion):
    net, X, y = a_net(C=10, criterion=criterion)
    net.params["W2"][:] = 0
    net.params["b2"][:] = 1e5
    compare(net, X, y)


@both
@pytest.mark.parametrize("offset", [1e-300, 1e-12, 1, 18, 40, 300, 350])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("sign", [-1, 1])
def test_saturated(sign, activation, offset, criterion):
    net, X, y = a_net(activation=activation, criterion=criterion)
    net.params["W1"] *= min(1, offset)
    net.params["b1"][:] = sign * offset
    compare(net, X, y)


@both
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_dead_units(activation, criterion):
    net, X, y = a_net(activation=activation, criterion=criterion)
    net.params["b1"][:2] = -100
    compare(net, X, y, 1e-3)
    net.params["b1"][:] = -1e200
    compare(net, X, y)


def test_numbers_that_overflow_are_not_nan():
    net, X, _ = a_net()
    net.params["b2"][:] = 1.7e308, -1.7e308, 0
    loss, grads = net.loss(X[:1], [1])
    assert loss == np.inf and not any(np.isnan(g).any() for g in grads.values())
    assert net.loss(X[:1], [0])[0] == 0.0


@both
def test_a_million_rows_in_single_precision(criterion):
    rng, N = np.random.default_rng(0), 1_000_000
    X, y = rng.standard_normal((N, 2)).astype(np.float32), rng.integers(2, size=N)
    single = TwoLayerNet(2, 3, 2, "he", criterion=criterion, dtype=np.float32, rng=0)
    double = TwoLayerNet(2, 3, 2, criterion=criterion)
    double.params = {name: w.astype(float) for name, w in single.params.items()}
    (loss, grads), (true_loss, true_grads) = single.loss(X, y, 0.01), double.loss(X, y, 0.01)
    assert loss == pytest.approx(true_loss, rel=1e-6)
    for name, true in true_grads.items():
        np.testing.assert_allclose(grads[name], true, atol=1e-4 * np.abs(true).max(), rtol=0)
