"""A two-layer neural network in one class, with numpy and nothing else.

For a batch X of N rows of D numbers, H hidden units, C classes, and * for elementwise, forward:

    Z = X W1 + b1      (N, H)  before the activation function f
    A = f(Z) * M       (N, H)  hidden units; M is the dropout mask, all ones without dropout
    S = A W2 + b2      (N, C)  scores
    P = softmax(S)     (N, C)  probabilities, p_j = exp(s_j) / sum_k exp(s_k) in each row
    L = (mean over the rows of -log p_y, y the row's label) + reg (sum(W1^2) + sum(W2^2))

and backward, by the chain rule; dS stands for dL/dS, and Y (N, C) for the labels as one-hot rows:

    dS = (P - Y) / N           dW2 = A^T dS + 2 reg W2      db2 = sum of the rows of dS
    dA = dS W2^T
    dZ = dA * M * f'(Z)        dW1 = X^T dZ + 2 reg W1      db1 = sum of the rows of dZ

Read `loss` and the three methods below it first: they are the mathematics; then `train`: draw a
batch, call `loss`, update the parameters. The file works when copied alone. Check your own work
against it: write yours first, and hand in what your course's rules allow.
"""

import json
import math
import os
import zlib
from contextlib import contextmanager

import numpy as np

ACTIVATIONS = {  # f(z), and f'(z) from the value f = f(z) (True counts as 1); a: leak
    "relu": (lambda z, a: np.maximum(z, 0), lambda f, a: f > 0),
    "leaky_relu": (lambda z, a: np.maximum(z, a * z), lambda f, a: np.where(f > 0, 1, a)),
    "tanh": (lambda z, a: np.tanh(z), lambda f, a: 1 - f**2),
    "sigmoid": (lambda z, a: 1 / (1 + np.exp(-z)), lambda f, a: f * (1 - f)),
}
OPTIONS = ("activation", "leak", "dropout", "criterion")  # of a net, saved with its parameters
RECORDS = ("train_acc", "val_acc", "val_loss", "learning_rate", "step")  # history, once an epoch
ONE_OF = "{} must be one of {}, got {!r}"  # the text of an error
TINY = 1e-30  # smaller numbers become 0: near the smallest float32 products take 20 times as long


class TwoLayerNet:
    """A fully connected network with one hidden layer and a softmax output, for classification.

    input_size, hidden_size, output_size: the numbers D of inputs, H of hidden units, C of classes.
    std: standard deviation of the normal weights, a number, or "zeros", "normal" (1), "xavier"
        (sqrt(2 / (fan_in + fan_out)), Glorot and Bengio 2010) or "he" (sqrt(2 / fan_in), He et al.
        2015). Biases start at zero.
    activation: "relu", "leaky_relu" (slope `leak`, 0 to 1, below zero), "tanh" or "sigmoid".
    dropout: probability that a hidden unit is dropped in training; the others are scaled by
        1 / (1 - dropout), so that scoring needs no change (Srivastava et al. 2014, inverted).
    criterion: "softmax" (cross-entropy) or "mse" (mean over rows and classes of (P - Y)^2).
    dtype: of the parameters and all arithmetic: np.float64, or np.float32, nearly twice as fast.
    rng: draws weights, masks and batches: a seed, a Generator, or None for numpy's global one.

    `params` is a dict of W1 (D, H), b1 (H,), W2 (H, C), b2 (C,), which training changes in place.
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        output_size,
        std=1e-4,
        *,
        activation="relu",
        leak=0.01,
        dropout=0.0,
        criterion="softmax",
        dtype=np.float64,
        rng=None,
    ):
        _check(activation in ACTIVATIONS, ONE_OF, "activation", [*ACTIVATIONS], activation)
        _check(criterion in ("softmax", "mse"), ONE_OF, "criterion", ["softmax", "mse"], criterion)
        _check(0 <= dropout < 1, "dropout must be in [0, 1), got {}; it is 1 - keep_prob", dropout)
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.activation, self.leak, self.dropout = activation, float(leak), float(dropout)
        self.criterion, self.dtype, self.params, self._work = criterion, np.dtype(dtype), {}, {}
        self.rng = None if rng is None else np.random.default_rng(rng)
        for i, m, n in (1, input_size, hidden_size), (2, hidden_size, output_size):  # fan in, out
            named = {"zeros": 0, "normal": 1, "xavier": (2 / (m + n)) ** 0.5, "he": (2 / m) ** 0.5}
            _check(std in named or not isinstance(std, str), ONE_OF, "std", [*named], std)
            sd = float(named.get(std, std))  # 0 draws nothing from the generator
            W = sd * (self.rng or np.random).standard_normal((m, n)) if sd else np.zeros((m, n))
            self.params |= {f"W{i}": W.astype(self.dtype), f"b{i}": np.zeros(n, self.dtype)}

    @np.errstate(all="ignore")  # an overflow shows in the loss or the scores
    def loss(self, X, y=None, reg=0.0, *, rng=None):
        """The scores of X or, given labels, the loss and its gradients.

        X: (N, D), or (N, ...) with D numbers a row; any real dtype. y: (N,) integers in 0..C-1.
        reg: strength of the penalty reg * (sum(W1**2) + sum(W2**2)).
        rng: int or Generator that draws the dropout mask of this call, instead of the net's own.

        Returns scores (N, C), with nothing dropped, if y is None; otherwise (loss, grads), a float
        and a dict keyed and shaped like `params`. Raises ValueError for X or y that do not fit.
        """
        work, self._work = self._work, {}  # arrays to overwrite, if `train` calls; otherwise {}
        if y is None:  # in pieces of some 10 MB of work; an empty X is one, refused
            X, rows = np.asarray(X), 2**21 // (self.input_size + 3 * self.hidden_size) + 1
            pieces = (self._check_X(X[i : i + rows]) for i in range(0, max(len(X), 1), rows))
            return np.concatenate([self._forward(piece, {})[0] for piece in pieces])
        X, y = self._check_X(X), y if work else self._check_y(y, len(X))  # `train` checks y once
        rng = self.rng if rng is None else np.random.default_rng(rng)
        S, hidden = self._forward(X, work, self.dropout, rng)
        loss, dS = self._loss_of(S, y, reg)
        _check(math.isfinite(loss) or np.isfinite(X).all(), "X has NaN or infinite values")
        return loss, self._backward(X, hidden, dS, float(reg), work)

    def _forward(self, X, work, dropout=0.0, rng=None):
        """Scores S, and for the way back F = f(Z), mask M (or None), A = F * M and W2."""
        W1, b1, W2, b2 = [np.asarray(self.params[k], self.dtype) for k in ("W1", "b1", "W2", "b2")]
        Z = work["Z", len(X)] = np.dot(X, W1, out=work.get(("Z", len(X))))  # in lent memory
        Z += b1  # Z = X W1 + b1
        F = A = ACTIVATIONS[self.activation][0](Z, self.leak)
        M = None
        if dropout:
            U = rng.random(Z.shape, self.dtype) if rng else np.random.random(Z.shape)
            M = np.divide(dropout <= U, 1 - dropout, dtype=self.dtype)  # 0 or 1 / (1 - dropout)
            A = F * M  # A = f(Z) * M
        return np.dot(A, W2) + b2, (F, M, A, W2)  # S = A W2 + b2

    def _loss_of(self, S, y, reg):
        """The loss, and dS."""
        (N, C), rows = S.shape, np.arange(len(S))
        S = S - S.max(axis=1, keepdims=True)  # leaves P as it is, and exp(s) <= 1 cannot overflow
        P = np.exp(S)
        total = P.sum(axis=1, keepdims=True)
        P /= total  # p_j = exp(s_j) / sum_k exp(s_k)
        diff = P.copy()
        diff[rows, y] -= 1  # P - Y
        if self.criterion == "softmax":
            # L = mean of -log p_y = log(sum_k exp(s_k)) - s_y, finite also where p_y rounds to 0
            loss = (np.log(total[:, 0]) - S[rows, y]).sum(dtype=float) / N
            dS = diff / N  # dS = (P - Y) / N
        else:
            loss = np.square(diff).mean(dtype=float)  # L = mean of (P - Y)^2
            dP = 2 / (N * C) * diff  # dP = 2 (P - Y) / (N C)
            # dp_j/ds_k = p_j (1 - p_k) if j = k, else -p_j p_k: dS_k = p_k (dP_k - sum_j dP_j p_j)
            dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
        dS[np.abs(dS) < TINY] = 0
        squares = sum(float(np.vdot(self.params[k], self.params[k])) for k in ("W1", "W2"))
        return float(loss) + float(reg) * squares, dS  # L + reg (sum(W1^2) + sum(W2^2))

    def _backward(self, X, hidden, dS, reg, work):
        """The gradients, with the keys and shapes of `params`."""
        F, M, A, W2 = hidden
        ones = np.ones(len(X), self.dtype)  # ones times a matrix is the sum of its rows
        dW2 = np.dot(A.T, dS)  # dW2 = A^T dS
        db2 = np.dot(ones, dS)  # db2 = sum of the rows of dS
        dZ = work["dZ", len(X)] = np.dot(dS, W2.T, out=work.get(("dZ", len(X))))  # dA = dS W2^T
        if M is not None:
            dZ *= M  # dA * M; the array of dA becomes dZ in place
        dZ *= ACTIVATIONS[self.activation][1](F, self.leak)  # dZ = dA * M * f'(Z)
        dW1 = work["dW1"] = np.dot(X.T, dZ, out=work.get("dW1"))  # dW1 = X^T dZ
        db1 = np.dot(ones, dZ)  # db1 = sum of the rows of dZ
        for dW, W in (*_blocks(dW1, self.params["W1"]), *_blocks(dW2, W2)) if reg else ():
            dW += 2 * reg * W  # dW1 += 2 reg W1, dW2 += 2 reg W2, piece by piece
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def predict(self, X):
        """Labels (N,) of X, (N, D) or (N, ...): the class with the highest score."""
        scores = self.loss(X)
        _check(np.isfinite(scores).all(), "scores are not finite: is there NaN in X or in params?")
        return scores.argmax(axis=1)

    def accuracy(self, X, y):
        """The share, 0 to 1, of the rows of X whose predicted label is the one in y (N,)."""
        return float(np.mean(self.predict(X) == self._check_y(y, len(X))))

    @np.errstate(all="ignore")  # an overflow shows in the loss
    def train(
        self,
        X,
        y,
        X_val,
        y_val,
        learning_rate=1e-3,
        learning_rate_decay=0.95,
        reg=5e-6,
        num_iters=None,
        batch_size=200,
        verbose=False,
        *,
        epochs=None,
        optimizer="sgd",
        momentum=0.9,
        rho=0.99,
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
        augment=None,
        callback=None,
        checkpoint=None,
        resume=False,
        keep_best=False,
    ):
        """Train by mini-batch gradient descent on X, y; validate on X_val, y_val (see `loss`).

        learning_rate: a number, times learning_rate_decay an epoch, or function of progress 0 to 1.
        num_iters: steps (100), each on batch_size rows drawn with replacement; an epoch ends with a
            step `it` where it % max(N // batch_size, 1) == 0, the very first included (cs231n).
        epochs: instead, passes over all rows, shuffled for each; the last batch may be short.
        optimizer: "sgd", "momentum", "rmsprop" (rho, eps) or "adam" (beta1, beta2, eps).
        augment: function (X_batch, rng) -> X_batch, of rows shaped as in X.
        callback: function (net, history), called after each epoch; returning True ends training.
        checkpoint: file, written each epoch; resume=True goes on from it, if there, bit for bit.
        keep_best: end with the best parameters, by validation accuracy, of all epochs and the end.
        Returns net.history, a dict of lists: 'loss_history' of all steps, and 'train_acc_history'
        (last batch), 'val_acc_history', 'val_loss_history' (with penalty), 'learning_rate_history',
        'step_history' (steps done) of all epochs. A loss that is not finite raises
        FloatingPointError, and puts params back to what they were.
        """
        given = {k: v for k, v in (vars(self) | locals()).items() if np.isscalar(v)}  # for _resume
        _check(optimizer in OPTIMIZERS, ONE_OF, "optimizer", [*OPTIMIZERS], optimizer)
        _check(num_iters is None or epochs is None, "give num_iters or epochs, not both")
        schedule = learning_rate if callable(learning_rate) else None
        _check(schedule or learning_rate > 0, "learning_rate must be > 0, got {}", learning_rate)
        _check(checkpoint or not resume, "resume=True needs checkpoint, the file to go on from")
        image_shape, work = np.shape(X)[1:], {}
        X, y = self._check_X(X), self._check_y(y, len(X))
        X_val, y_val = self._check_X(X_val, "X_val"), self._check_y(y_val, len(X_val), "y_val")
        for name, a in {"X": X, "X_val": X_val, **self.params}.items():
            _check(np.isfinite(a).all(), "{} has NaN or infinite values", name)
        num_iters = 100 if num_iters is None else num_iters
        steps = num_iters if epochs is None else epochs * math.ceil(len(X) / batch_size)
        before = {name: w.copy() for name, w in self.params.items()}
        kept = {f"best_{name}": w.copy() for name, w in before.items()} if keep_best else {}
        update, slots = OPTIMIZERS[optimizer]  # slots: how many arrays it keeps for each parameter
        kept |= {f"{k}_{i}": np.zeros_like(w) for k, w in before.items() for i in range(slots)}
        states = {k: [kept[f"{k}_{i}"] for i in range(slots)] for k in before}
        options = {"momentum": momentum, "rho": rho, "beta1": beta1, "beta2": beta2, "eps": eps}
        self.history = history = {f"{name}_history": [] for name in ("loss", *RECORDS)}
        given["data"] = checkpoint and [zlib.crc32(a) for a in (X, y, X_val, y_val)]
        stopped = resume and os.path.exists(checkpoint) and self._resume(checkpoint, given, kept)
        done = len(history["loss_history"])  # steps already taken, if training was resumed

        batches = self._batches(len(X), batch_size, steps, epochs, done)
        for it, (rows, epoch_ends) in enumerate(() if stopped else batches, done):
            X_batch = np.take(X, rows, axis=0, mode="clip", out=work.get(len(rows)))  # = X[rows]
            work[len(rows)], y_batch = X_batch, y[rows]
            if augment:
                X_batch = augment(X_batch.reshape(-1, *image_shape), self.rng or np.random)
            epoch, val_loss = len(history["step_history"]), 0.0  # unless it is validated
            rate = schedule(it / steps) if schedule else learning_rate * learning_rate_decay**epoch
            self._work = work  # for the next line
            loss, grads = self.loss(X_batch, y_batch, reg)
            for name, w in self.params.items():
                for block in _blocks(w, grads[name], *states[name]):
                    update(*block, lr=float(rate), t=it + 1, **options)
                    for a in block if it % 100 == 0 else ():
                        a[np.abs(a) < TINY] = 0
            if epoch_ends or it + 1 == steps:
                scores = self.loss(X_val)
                val_loss, _ = self._loss_of(scores, y_val, reg)
                val_acc = float(np.mean(scores.argmax(axis=1) == y_val))
                if keep_best and val_acc > max(history["val_acc_history"], default=-1):
                    kept |= {f"best_{name}": w.copy() for name, w in self.params.items()}
            if not math.isfinite(loss + val_loss):
                for name, w in before.items():
                    self.params[name][...] = w
                where = f"the loss is {loss + val_loss} at step {it} of {steps}, rate {rate:g}: "
                raise FloatingPointError(where + "try a smaller rate or std, or X nearer to 0")
            history["loss_history"].append(float(loss))
            if verbose and epochs is None and it % 100 == 0:
                print(f"iteration {it} / {steps}: loss {loss:f}")
            if epoch_ends:
                values = self.accuracy(X_batch, y_batch), val_acc, val_loss, float(rate), it + 1
                for name, value in zip(RECORDS, values, strict=True):
                    history[f"{name}_history"].append(value)
                if verbose and epochs:
                    print(f"epoch {epoch + 1} / {epochs}: loss {loss:f}, val acc {val_acc:.4f}")
                stopped = callback is not None and callback(self, history) in (True,)  # or np.True_
                if checkpoint:
                    self._write_checkpoint(checkpoint, given, stopped, kept)
                if stopped:
                    break
        for name, w in self.params.items() if keep_best else ():
            w[...] = kept[f"best_{name}"]
        return history

    def _batches(self, N, batch_size, steps, epochs, done):
        """From step `done` on, the rows of each batch, and whether an epoch ends with it."""
        random = self.rng or np.random
        for it in range(done, steps if epochs is None else 0):
            yield random.choice(N, batch_size), it % max(N // batch_size, 1) == 0
        for _ in range(done // math.ceil(N / batch_size), epochs or 0):
            order = random.permutation(N)
            for i in range(0, N, batch_size):
                yield order[i : i + batch_size], i + batch_size >= N

    def save(self, path):
        """Write parameters and options (not rng) to the file `path`, for load or np.load (.npz)."""
        _write_npz(path, {**{name: getattr(self, name) for name in OPTIONS}, **self.params})

    @classmethod
    def load(cls, path):
        """A new net from a file of `save`, with rng=None: net = TwoLayerNet.load(path)."""
        with _reading(path) as data:
            options = {name: data[name].item() for name in OPTIONS} | {"dtype": data["W1"].dtype}
            net = cls(*data["W1"].shape, len(data["b2"]), "zeros", **options)
            net.params = {name: data[name] for name in net.params}
        return net

    def _write_checkpoint(self, path, given, stopped, kept):
        rng = self.rng.bit_generator.state if self.rng else np.random.get_state(legacy=False)
        text = json.dumps([given, stopped, rng, self.history], default=lambda a: a.tolist())
        _write_npz(path, {"checkpoint": text, **self.params, **kept})

    def _resume(self, path, given, kept):
        """Take over what a checkpoint holds; returns whether a callback had ended its training."""
        with _reading(path) as data:
            then, stopped, rng, history = json.loads(data["checkpoint"].item())
            free = {"num_iters", "epochs", "verbose", "checkpoint", "resume"}  # may differ
            for name in (given.keys() | then) - free:
                a, b = then.get(name), given.get(name)
                _check(a == b, "its {} was {}, not {}", name, a, b)
            _check(("epochs" in then) == ("epochs" in given), "it is of the other loop")
            if self.rng:
                self.rng.bit_generator.state = rng
            else:
                np.random.set_state(rng)
            for name, a in {**self.params, **kept}.items():
                a[...] = data[name]
            self.history.update(history)
        return stopped

    def _check_X(self, X, name="X"):
        X, D = np.asarray(X), self.input_size
        must = "{} must be (N, {}) or (N, ...) of input_size={} numbers, got {}; one row is X[None]"
        _check(X.size and math.prod(X.shape[1:]) == D, must, name, D, D, X.shape)
        return np.ascontiguousarray(X.reshape(len(X), D), self.dtype)

    def _check_y(self, y, N, name="y"):
        y, C = np.asarray(y), self.output_size
        fix = {(C,): "; one-hot? y.argmax(axis=1)", (1,): "; give y.ravel()"}.get(y.shape[1:], "")
        _check(y.shape == (N,), "{} must have shape ({},), got {}{}", name, N, y.shape, fix)
        _check(y.dtype.kind in "iu", "{} holds {}: give integers, y.astype(int)", name, y.dtype)
        low, high = y.min(), y.max()
        must = "{} must be in 0..{}, got {}..{} (output_size must be larger; the first label is 0)"
        _check(low >= 0 and high < C, must, name, C - 1, low, high)
        return y


# Optimizers change w and what they keep, arrays like w that begin at zero, in place; g is dL/dw.
def sgd(w, g, *, lr, **_):  # **_: the options of others
    w -= lr * g


def momentum(w, g, v, *, lr, momentum=0.9, **_):
    v *= momentum
    v -= lr * g  # v = momentum v - lr g
    w += v


def rmsprop(w, g, s, *, lr, rho=0.99, eps=1e-8, **_):  # Tieleman and Hinton 2012
    s *= rho
    s += (1 - rho) * g**2  # s = rho s + (1 - rho) g^2
    w -= lr * g / (np.sqrt(s) + eps)


def adam(w, g, m, s, *, lr, t, beta1=0.9, beta2=0.999, eps=1e-8, **_):  # Kingma and Ba 2015
    m *= beta1
    m += (1 - beta1) * g  # m = beta1 m + (1 - beta1) g
    s *= beta2
    s += (1 - beta2) * g**2  # s = beta2 s + (1 - beta2) g^2
    w -= lr * (m / (1 - beta1**t)) / (np.sqrt(s / (1 - beta2**t)) + eps)  # t = 1, 2, ...


OPTIMIZERS = {f.__name__: (f, n) for f, n in ((sgd, 0), (momentum, 1), (rmsprop, 1), (adam, 2))}


def _blocks(*arrays):
    """Matching pieces of arrays; those of large ones stay in the cache from line to line."""
    rows = max(262144 * len(arrays[0]) // arrays[0].size, 1)  # of some 262144 numbers
    starts = range(0, len(arrays[0]), rows)
    return [arrays] if len(starts) == 1 else [[a[i : i + rows] for a in arrays] for i in starts]


def _write_npz(path, arrays):
    """np.savez, but the file at `path` stays as it is until the new one is whole."""
    with open(f"{path}.part", "wb") as file:
        np.savez(file, **arrays)
    os.replace(f"{path}.part", path)


@contextmanager
def _reading(path):
    """The arrays in a file of `_write_npz`; an error in the block becomes one about the file."""
    with open(path, "rb") as file:
        try:
            with np.load(file, allow_pickle=False) as data:
                yield dict(data)
        except Exception as error:
            raise ValueError(f"{path} is damaged or does not fit: {error}") from error


def _check(ok, message, *values):
    if not ok:
        raise ValueError(message.format(*values))
