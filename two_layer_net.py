"""A two-layer neural network in one class, with numpy and nothing else.

    net = TwoLayerNet(784, 100, 10, std="he", dtype=np.float32, rng=0)
    net.train(X, y, X_val, y_val, learning_rate=0.1, epochs=10, optimizer="momentum", verbose=True)
    accuracy = (net.predict(X_test) == y_test).mean()

The network, for a batch X of N rows with D numbers each, H hidden units and C classes:

    Z = X W1 + b1        (N, H)  before the activation function f
    A = f(Z) * M         (N, H)  hidden units; M is the dropout mask, all ones without dropout
    S = A W2 + b2        (N, C)  scores
    P = softmax(S)       (N, C)  probabilities, p_j = exp(s_j) / sum_k exp(s_k) in each row
    L = data loss of P and y + reg * (sum(W1**2) + sum(W2**2))

This file stands alone: copy it wherever you need it.
"""

import glob
import io
import json
import math
import os
import zipfile
import zlib
from contextlib import contextmanager, suppress
from itertools import pairwise
from numbers import Integral, Real
from pathlib import Path

import numpy as np

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid")
CRITERIA = ("softmax", "mse")
OPTIMIZERS = {  # their options with the defaults
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "rmsprop": {"rho": 0.99, "eps": 1e-8},
    "adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}
STATE = {"sgd": 0, "momentum": 1, "rmsprop": 1, "adam": 2}  # how many arrays like the parameters they keep
HISTORY = [f"{name}_history" for name in ("loss", "train_acc", "val_acc", "val_loss", "learning_rate")]
OPTIONS = ("activation", "leak", "dropout", "criterion")  # of a net, saved with it
FILE_FORMAT = 1  # of all that `_write_npz` writes
PART = f".{8 * '[0-9a-f]'}.part"  # ends the names of temporary files, as glob says it
SMALL = {np.dtype(t): np.finfo(t).tiny / np.finfo(t).eps for t in (np.float32, np.float64)}  # see `_flush`
BLOCK = 131072  # numbers updated at a time, see `train`


class TwoLayerNet:
    """Fully connected network with one hidden layer and a softmax output, for classification.

    input_size, hidden_size, output_size : numbers D, H, C of inputs, hidden units and classes.
    std : standard deviation of the normally distributed weights (biases start at zero): a number >= 0, or
        "zeros", "normal" (1), "xavier" (sqrt(2 / (fan_in + fan_out)), Glorot and Bengio 2010) or
        "he" (sqrt(2 / fan_in), He et al. 2015).
    activation : "relu", "leaky_relu" (slope `leak` in [0, 1) below zero), "tanh" or "sigmoid".
    dropout : probability in [0, 1) that a hidden unit is dropped in training; the others are scaled by
        1 / (1 - dropout), so that scoring needs no change (Srivastava et al. 2014, inverted).
    criterion : "softmax" (cross-entropy) or "mse" (mean over examples and classes of the squared
        difference between the probabilities and the one-hot labels).
    dtype : np.float64 or np.float32, of the parameters and of all arithmetic.
    rng : source of all random numbers: None for numpy's global generator (np.random.seed), or an int >= 0
        or a np.random.Generator to be independent of it.

    `params` is the dict of parameters: W1 (D, H), b1 (H,), W2 (H, C), b2 (C,); arrays of the same shapes
    may be assigned to its keys, during training only by train's callback. Wrong values raise ValueError,
    wrong types TypeError, sizes beyond the memory MemoryError.
    """

    def __init__(self, input_size, hidden_size, output_size, std=1e-4, *, activation="relu", leak=0.01,
                 dropout=0.0, criterion="softmax", dtype=np.float64, rng=None):  # fmt: skip
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, output_size
        self.activation, self.leak, self.dropout, self.criterion = activation, leak, dropout, criterion
        self.dtype, self.rng, self.params = dtype, rng, {}
        D, H, C = self._check_options()
        _room("input_size, hidden_size, output_size", (D, H, C), D + C + 2, H)
        random = self.rng or np.random
        for i, fan_in, fan_out in ((1, D, H), (2, H, C)):
            xavier, he = math.sqrt(2 / (fan_in + fan_out)), math.sqrt(2 / fan_in)
            stds = {"zeros": 0.0, "normal": 1.0, "xavier": xavier, "he": he}
            sd = stds[_choice("std", std, stds)] if isinstance(std, str) else _number("std", std, "[0, inf)")
            with np.errstate(over="ignore"):
                W = sd * random.standard_normal((fan_in, fan_out)) if sd else np.zeros((fan_in, fan_out))
                self.params[f"W{i}"] = W.astype(self.dtype)
            if not np.isfinite(self.params[f"W{i}"]).all():
                raise ValueError(f"std must be small enough for {self.dtype} weights, got {std!r}")
            self.params[f"b{i}"] = np.zeros(fan_out, self.dtype)

    # ---- scores, loss and gradients

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        """Scores of X or, given labels, the loss and its gradients.

        X : (N, D), or (N, ...) with D numbers an example; any real dtype.
        y : (N,) integer labels 0..C-1, or None.
        reg : strength of the penalty reg * (sum(W1**2) + sum(W2**2)), >= 0.
        rng : int or Generator to draw this call's dropout mask from, instead of the net's own.

        Returns scores (N, C), nothing dropped, when y is None. Otherwise (loss, grads): a float, and a dict
        keyed and shaped like `params`; hidden units are dropped as in training.
        """
        self._check_params()
        if y is None:
            return self._scores(self._check_X(X))
        X, y = self._check_data(X, y)
        reg, rng = _number("reg", reg, "[0, inf)"), _generator(rng)
        grads = {name: np.empty_like(w) for name, w in self.params.items()}
        with np.errstate(all="ignore"):  # an overflow shows in the loss
            loss = self._loss_and_grads(X, y, grads, {}, rng or self.rng) + self._penalty(reg)
            for name in ("W1", "W2"):
                grads[name] += reg * (2 * self.params[name])  # d(reg * w**2)/dw
        return loss, grads

    def predict(self, X):
        """Labels (N,) of X, (N, D) or (N, ...): the class with the highest score.

        Raises FloatingPointError when a score is not finite, as after a training that diverged.
        """
        scores = self.loss(X)
        if not np.isfinite(scores).all():
            raise FloatingPointError("scores are not finite: the numbers in X or in params are too large")
        return scores.argmax(axis=1)

    def _scores(self, X):
        """Scores of X, computed with some 10 MB of work at a time however long X is."""
        scores, work = np.empty((len(X), self.output_size), self.dtype), {}
        size = max(1, 2**21 // (self.input_size + 2 * self.hidden_size + self.output_size))
        with np.errstate(all="ignore"):  # an overflow shows in the scores
            for i in range(0, len(X), size):
                scores[i : i + size] = self._forward(self._convert(X[i : i + size]), work)[0]
        return scores

    def _buffer(self, work, name, *shape):
        """An array to write into, made once for each `work`, name and shape."""
        if (name, shape) not in work:
            work[name, shape] = np.empty(shape, self.dtype)
        return work[name, shape]

    def _forward(self, X, work, dropout=0.0, rng=None):
        """Scores S, hidden units A and dA/dZ = f'(Z) * M."""
        p, shape = self.params, (len(X), self.hidden_size)
        hidden, slope = self._buffer(work, "hidden", *shape), self._buffer(work, "slope", *shape)
        np.dot(X, p["W1"], out=hidden)
        hidden += p["b1"]  # Z = X W1 + b1
        self._activate(hidden, slope)  # f(Z), f'(Z)
        if dropout:
            mask = self._buffer(work, "mask", *shape)
            if rng is None:
                mask[:] = np.random.random(shape)
            else:
                rng.random(out=mask, dtype=self.dtype)
            np.greater_equal(mask, dropout, out=mask)
            mask /= 1 - dropout  # M is 0 or 1 / (1 - dropout)
            hidden *= mask  # A = f(Z) * M
            slope *= mask
        # S.T is what lies row by row in memory: sums and maxima over the few classes are faster that way
        scores = np.dot(p["W2"].T, hidden.T, out=self._buffer(work, "scores", self.output_size, len(X))).T
        scores += p["b2"]  # S = A W2 + b2
        return scores, hidden, slope

    def _activate(self, Z, slope):
        """Overwrite Z with f(Z) and slope with f'(Z)."""
        if self.activation == "relu":
            np.maximum(Z, 0, out=Z)
            np.greater(Z, 0, out=slope)  # f' = 1 where z > 0, else 0
        elif self.activation == "leaky_relu":
            np.greater(Z, 0, out=slope)
            np.maximum(slope, self.leak, out=slope)  # f' = 1 where z > 0, else leak
            Z *= slope  # f = f' z
        elif self.activation == "tanh":
            np.exp(-2 * np.abs(Z), out=slope)  # t
            np.tanh(Z, out=Z)
            slope *= np.square(1 + np.abs(Z))  # f' = 1 - f**2 = t (1 + |f|)**2, not 0 where f rounds to 1
        else:
            np.exp(-np.abs(Z), out=slope)  # t
            t1 = 1 + slope
            np.exp(np.minimum(Z, 0, out=Z), out=Z)
            Z /= t1  # f = 1 / (1 + exp(-z)) = exp(min(z, 0)) / (1 + t), which cannot overflow
            slope /= np.square(t1)  # f' = f (1 - f) = t / (1 + t)**2, not 0 where f rounds to 1

    def _data_loss(self, S, y, scale=1.0):
        """Data loss and scale * dL/dS; S is overwritten."""
        (N, C), rows = S.shape, np.arange(len(S))
        S -= S.max(axis=1, keepdims=True)  # changes no probability, and now exp(S) <= 1 cannot overflow
        s_y = S[rows, y]
        P = np.exp(S, out=S if self.criterion == "softmax" else None)
        P[rows, y] = 0
        others = P.sum(axis=1)  # sum of exp(s_j) over the wrong classes
        total = others + np.exp(s_y)
        wrong = others / total  # 1 - p_y, exact to the last digits where p_y is close to 1
        if self.criterion == "softmax":
            # L = mean of -log p_y = log(total) - s_y; total - 1 = others + (exp(s_y) - 1) is exact, see above
            loss = (np.log1p(others + np.expm1(s_y)) - s_y).sum(dtype=float) / N
            P *= (scale / N / total)[:, None]  # dL/dS = (P - Y) / N, where Y is one-hot
            P[rows, y] = -scale / N * wrong
        else:
            # L = mean of E**2, E = P - Y. With dp_j/ds_k = p_j ([j = k] - p_k) this gives
            # dL/ds_k = 2 / (N C) p_k G_k,  G_k = E_k - sum_j p_j E_j,
            # a difference that loses its digits where classes tie. With w = 1 - p_y, t the likeliest class
            # other than y, and R = sum_(j != y) p_j (p_t - p_j), it is equal to
            # G_y = -sum_(j != y) p_j (w + p_j) and, for k != y,
            # G_k = (p_k - p_t) + p_y (p_t + w) + R  and  G_k = p_k + w (p_y - p_t) + R,
            # of which the one with the smaller negative term keeps its digits, as do these two differences by
            # p_k - p_t = p_t expm1(s_k - s_t).
            P /= total[:, None]  # but for P_y, which is 0 until the end
            p_y, w = np.exp(s_y) / total, wrong  # E_y = -w, all other E_j = p_j
            loss = np.mean(np.square(P).sum(axis=1) + np.square(w), dtype=float) / C
            S[rows, y] = -np.inf
            t = S.argmax(axis=1)
            p_t, s_t = P[rows, t], np.maximum(S[rows, t], np.finfo(S.dtype).min)  # a single class has no t
            below = p_t[:, None] * np.expm1(S - s_t[:, None])  # p_k - p_t
            lead = np.where(s_y < s_t, p_t * np.expm1(s_y - s_t), -p_y * np.expm1(s_t - s_y))  # p_y - p_t
            R = -(P * below).sum(axis=1)
            G = np.where(below < (w * lead)[:, None], P + (w * lead + R)[:, None],
                         below + (p_y * (p_t + w) + R)[:, None])  # fmt: skip
            G[rows, y] = -(P * (P + w[:, None])).sum(axis=1)
            P[rows, y] = p_y
            P *= G
            P *= 2 * scale / (N * C)
        return float(loss), P

    def _loss_and_grads(self, X, y, grads, work, rng, scale=1.0):
        """Data loss for a batch of the net's dtype; writes its gradients, times scale, to grads."""
        S, A, slope = self._forward(X, work, self.dropout, rng)
        loss, dS = self._data_loss(S, y, scale)
        if self.dtype == np.float32:  # in float64 it takes scores that are some 670 apart
            _flush(dS)
        ones = np.ones(len(X), self.dtype)
        np.dot(A.T, dS, out=grads["W2"])  # dL/dW2 = A^T dL/dS
        np.dot(ones, dS, out=grads["b2"])  # dL/db2 = sum over the rows of dL/dS
        dZ = np.dot(dS, self.params["W2"].T, out=self._buffer(work, "dZ", *A.shape))  # dL/dA = dL/dS W2^T
        dZ *= slope  # dL/dZ = dL/dA * f'(Z) * M
        np.dot(X.T, dZ, out=grads["W1"])  # dL/dW1 = X^T dL/dZ
        np.dot(ones, dZ, out=grads["b1"])  # dL/db1 = sum over the rows of dL/dZ
        return loss

    def _penalty(self, reg):
        """reg * (sum(W1**2) + sum(W2**2)), right even where single squares overflow or vanish."""
        total = 0.0
        for W in (self.params["W1"], self.params["W2"]) if reg else ():
            largest = float(np.abs(W).max()) or 1.0  # 0 / 0 would be NaN
            total += reg * largest * largest * float(np.square(W / largest).sum(dtype=float))
        return total

    # ---- training

    def train(self, X, y, X_val, y_val, learning_rate=1e-3, learning_rate_decay=0.95, reg=5e-6,
              num_iters=100, batch_size=200, verbose=False, *, epochs=None, optimizer="sgd", augment=None,
              callback=None, checkpoint=None, resume=False, keep_best=False,
              **optimizer_options):  # fmt: skip
        """Train by mini-batch gradient descent; returns the history.

        X, y, X_val, y_val : examples and labels to train on and to validate with, as for `loss`.
        learning_rate : a number > 0, multiplied by learning_rate_decay at the end of every epoch; or a
            function of progress in [0, 1) that returns each step's rate >= 0 (no decay then).
        reg : strength of the L2 penalty, as for `loss`.
        num_iters : cs231n's loop: so many steps on batch_size rows drawn with replacement. An "epoch" ends
            after each step `it` with it % max(N / batch_size, 1) == 0, the very first included.
        epochs : instead of num_iters: so many passes over all rows, newly shuffled each time; the last
            batch of a pass is as short as it comes.
        verbose : print a line every 100 steps (num_iters) or every epoch (epochs).
        optimizer, optimizer_options : "sgd"; "momentum" (momentum=0.9); "rmsprop" (rho=0.99, eps=1e-8);
            "adam" (beta1=0.9, beta2=0.999, eps=1e-8). Velocities and moments start at zero in each call.
        augment : function (X_batch, rng) -> X_batch, called at each step. Its rows have the shape they have
            in X; rng is the net's Generator, or the module np.random where the net has none.
        callback : function (net, history), called after each epoch; training stops when it returns True.
            The history must keep its lists; others may be added to it.
        checkpoint : path of a file that is written after each epoch and holds all that is needed to go on.
        resume : go on from the file `checkpoint` if there is one. The end has the same bits as without the
            interruption. num_iters or epochs may be larger than before unless learning_rate is a function.
        keep_best : end with the parameters of the epoch that had the highest validation accuracy.

        Returns a dict of lists of floats: 'loss_history', one a step, and one an epoch: 'train_acc_history'
        (on its last batch), 'val_acc_history', 'val_loss_history' (penalty included) and
        'learning_rate_history' (of its last step).

        Raises FloatingPointError at a loss that is not finite; `params` are those that gave it. ValueError
        for a checkpoint that other settings or data have written; it stays as it is.
        """
        self._check_params()
        image_shape = _array("X", X).shape[1:]
        X, y = self._check_data(X, y)
        X_val, y_val = self._check_data(X_val, y_val, "X_val", "y_val")
        schedule = learning_rate if callable(learning_rate) else None
        rate = None if schedule else _number("learning_rate", learning_rate, "(0, inf)")
        decay = _number("learning_rate_decay", learning_rate_decay, "(0, inf)")
        reg = _number("reg", reg, "[0, inf)")
        N, batch_size = len(X), _number("batch_size", batch_size, "[1, inf)", Integral)
        options = _optimizer_options(optimizer, optimizer_options)
        if epochs is None:
            steps, epoch_steps = _number("num_iters", num_iters, "[1, inf)", Integral), max(N / batch_size, 1)
        elif isinstance(num_iters, Integral) and num_iters == 100:  # its default
            epoch_steps = math.ceil(N / batch_size)
            steps = _number("epochs", epochs, "[1, inf)", Integral) * epoch_steps
        else:
            raise ValueError(f"give num_iters or epochs, not both: got {num_iters=}, {epochs=}")
        shape = batch_size if epochs is None else min(batch_size, N), self.input_size + 3 * self.hidden_size
        _room("batch_size", batch_size, *shape, dtype=self.dtype)
        for name, function in (("augment", augment), ("callback", callback)):
            if function is not None and not callable(function):
                raise TypeError(f"{name} must be a function or None, got {function!r}")
        verbose, resume = _flag("verbose", verbose), _flag("resume", resume)
        keep_best = _flag("keep_best", keep_best)
        _check_checkpoint(checkpoint, resume)

        # All parameters in one array, which is updated block by block: the operations of an update find a
        # block in the core's cache. For 3072 x 512 weights SGD takes 0.95 ms so, in whole arrays 1.87 ms.
        weights = self.hidden_size * (self.input_size + self.output_size)
        theta = np.empty(weights + self.hidden_size + self.output_size, self.dtype)
        views = self._views(theta)
        self._move_params_to(views)
        grad, state = np.empty_like(theta), [np.zeros_like(theta) for _ in range(STATE[optimizer])]
        grads = self._views(grad)
        cuts = [*range(0, weights, BLOCK), weights, theta.size]  # last the biases, which have no penalty
        blocks = [(reg * (i < weights), *(a[i:j] for a in (theta, grad, *state))) for i, j in pairwise(cuts)]
        best = np.empty_like(theta if keep_best else theta[:0])
        history = {name: [] for name in HISTORY}
        done = {"steps": 0, "rate": rate, "best_val_acc": -1.0, "stopped": False}
        if checkpoint is not None:
            call = {
                **self._options(), "sizes": [w.shape for w in self.params.values()], "dtype": self.dtype.name,
                "generator": "global" if self.rng is None else type(self.rng.bit_generator).__name__,
                "loop": "num_iters" if epochs is None else "epochs", "steps": steps if schedule else None,
                "learning_rate": rate, "learning_rate_decay": decay, "reg": reg, "batch_size": batch_size,
                "optimizer": optimizer, **options, "augment": augment is not None,
                "keep_best": keep_best, "rows": (N, len(X_val)),
                "checksums": [zlib.crc32(a) for a in (X, y, X_val, y_val)],
            }  # fmt: skip
            arrays = [theta, best, *state]
            if resume and os.path.exists(checkpoint):
                whole = 1 if epochs is None else epoch_steps
                done = _read_checkpoint(checkpoint, call, steps, whole, self, arrays, history)
                rate = done["rate"]

        random, work, penalty = self.rng or np.random, {}, self._penalty(reg)
        for it in range(done["steps"], 0 if done["stopped"] else steps):
            if epochs is None:
                rows, epoch_ends = random.choice(N, batch_size), it % epoch_steps == 0
            else:
                first = it % epoch_steps * batch_size
                if first == 0:
                    order = random.permutation(N)
                rows, epoch_ends = order[first : first + batch_size], first + batch_size >= N
            X_batch, y_batch = self._buffer(work, "X", len(rows), self.input_size), y[rows]
            np.take(X, rows, axis=0, mode="clip", out=X_batch)  # "raise" would go through one more copy
            if augment:
                what = "augment(X_batch, rng)"
                X_batch = self._check_X(augment(X_batch.reshape(-1, *image_shape), random), what)
                if len(X_batch) != len(rows):
                    raise ValueError(f"{what} must return as many rows as it is given, {len(rows)}, "
                                     f"got {len(X_batch)}")  # fmt: skip
                X_batch = self._convert(X_batch, what)

            rate = _number("learning_rate(progress)", schedule(it / steps), "[0, inf)") if schedule else rate
            # where the update is linear in the gradient, scaling the small dL/dS is less work
            scale, factor = (rate, 1.0) if optimizer in ("sgd", "momentum") else (1.0, rate)
            with np.errstate(all="ignore"):  # an overflow shows in the loss, this one or the next
                loss = self._loss_and_grads(X_batch, y_batch, grads, work, self.rng, scale) + penalty
                _check_finite(loss, it, steps, rate)
                penalty = 0.0
                for strength, w, g, *moments in blocks:
                    l2 = 2 * strength * scale  # d(strength * w**2)/dw = 2 strength w
                    _update(optimizer, w, g, *moments, lr=factor, step=it + 1, l2=l2, **options)
                    if it % 100 == 0:  # soon enough for what shrinks by up to a seventh at each step
                        for a in (w, *moments):
                            _flush(a)
                    if strength:  # the penalty of the next step, while the block is in the cache
                        penalty += strength * float(np.vdot(w, w))
            history["loss_history"].append(loss)

            if verbose and epochs is None and it % 100 == 0:
                print(f"iteration {it} / {steps}: loss {loss:f}")
            if not epoch_ends:
                continue
            train_loss, train_acc = self._evaluate(X_batch, y_batch, reg)
            val_loss, val_acc = self._evaluate(X_val, y_val, reg)
            _check_finite(train_loss + val_loss, it, steps, rate)
            for name, value in zip(HISTORY[1:], (train_acc, val_acc, val_loss, rate), strict=True):
                history[name].append(value)
            if verbose and epochs is not None:
                n = (it + 1) // epoch_steps
                print(f"epoch {n} / {epochs}: loss {loss:f}, val loss {val_loss:f}, val acc {val_acc:.4f}")
            if keep_best and val_acc > done["best_val_acc"]:
                done["best_val_acc"] = val_acc
                best[:] = theta
            rate = rate if schedule else rate * decay
            stopped = callback is not None and _stops(callback(self, history), history)
            self._move_params_to(views)  # the callback may have assigned to them
            penalty = self._penalty(reg)  # summed as it is after a resume, to the same bits
            done.update(steps=it + 1, rate=rate, stopped=stopped, options=self._options())
            if checkpoint is not None:
                _write_checkpoint(checkpoint, call, done, self.rng, arrays, history)
            if stopped:
                break
        if done["steps"] < steps and not done["stopped"]:  # nothing has looked at the last step's parameters
            _check_finite(self._evaluate(X_val, y_val, reg)[0], steps - 1, steps, rate)
        if keep_best:
            theta[:] = best
        return history

    def _views(self, flat):
        """W1, b1, W2 and b2 as views of flat, in which they lie in the order W1, W2, b1, b2."""
        D, H, C = self.input_size, self.hidden_size, self.output_size
        W1, W2, b1, b2 = np.split(flat, np.cumsum([D * H, H * C, H]))
        return {"W1": W1.reshape(D, H), "b1": b1, "W2": W2.reshape(H, C), "b2": b2}

    def _move_params_to(self, views):
        """Make params these views, with the numbers that params have."""
        self._check_params()
        for name, view in views.items():
            w = self.params[name]
            if (w.dtype, w.shape) != (view.dtype, view.shape):
                must = f"dtype must stay {view.dtype} during training, the shape {view.shape}"
                raise ValueError(f"params[{name!r}]: {must}; got {w.dtype} {w.shape}")
        if any(self.params[name] is not view for name, view in views.items()):
            copies = {name: self.params[name].copy() for name in views}  # they may be other ones of the views
            for name, view in views.items():
                view[...] = copies[name]
            self.params.update(views)

    def _evaluate(self, X, y, reg):
        """Loss, nothing dropped and penalty included, and accuracy."""
        scores = self._scores(X)
        accuracy = float(np.mean(scores.argmax(axis=1) == y))
        with np.errstate(all="ignore"):
            return self._data_loss(scores, y)[0] + self._penalty(reg), accuracy

    # ---- files

    def save(self, path):
        """Write the net to `path` as .npz: parameters and options, but not its generator.

        The file appears whole or not at all; what stood there before stays until then.
        """
        self._check_params()
        _write_npz(_path("path", path), {**self._options(), **self.params})

    def _options(self):
        return {name: getattr(self, name) for name in OPTIONS}

    @classmethod
    def load(cls, path):
        """The net that `save` wrote to `path`; its rng is None, numpy's global generator.

        Raises ValueError, naming the file, when it is damaged or no saved net.
        """
        data = _read_npz(_path("path", path), "saved net")
        try:
            params = {name: data.pop(name) for name in ("W1", "b1", "W2", "b2")}
            (D, H), (units, C), dtype = params["W1"].shape, params["W2"].shape, params["W1"].dtype
            if units != H:  # or a size that the file has no numbers for could take all memory
                raise ValueError(f"W2 has {units} rows and W1 {H} columns")
            options = {name: data.pop(name).item() for name in OPTIONS}
            if data:
                raise ValueError(f"it holds {', '.join(data)}, too")
            net = cls(D, H, C, "zeros", dtype=dtype, **options)
            net.params.update(params)
            net._check_params()
        except Exception as error:
            raise ValueError(f"{path} is damaged or no saved TwoLayerNet: {error!r}") from error
        return net

    # ---- checks of arguments

    def _check_X(self, X, name="X"):
        """X as an array (N, D) of its own dtype."""
        X = _array(name, X)
        if X.dtype.kind not in "biuf":
            raise TypeError(f"{name} must hold real numbers, got dtype {X.dtype}")
        if X.ndim == 0 or len(X) == 0 or math.prod(X.shape[1:]) != self.input_size:
            raise ValueError(f"{name} must have shape (N, ...) with N >= 1 examples of input_size="
                             f"{self.input_size} numbers each, got shape {X.shape}")  # fmt: skip
        return X.reshape(len(X), -1)

    def _convert(self, X, name="X"):
        """X as a contiguous array of the net's dtype, which it may be already."""
        with np.errstate(over="ignore"):  # an overflow shows below
            X = np.ascontiguousarray(X, dtype=self.dtype)
        if not (np.isfinite(X.min()) and np.isfinite(X.max())):  # min and max of NaN are NaN
            raise ValueError(f"{name} has NaN, infinite values or values too large for {self.dtype}")
        return X

    def _check_data(self, X, y, X_name="X", y_name="y"):
        """X as an array (N, D) of the net's dtype and y as indices (N,)."""
        X, y = self._check_X(X, X_name), _array(y_name, y)
        if y.shape != (len(X),):
            raise ValueError(f"{y_name} must have shape ({len(X)},), as {X_name} has rows, got {y.shape}"
                             " (of one-hot labels give argmax(axis=1))")  # fmt: skip
        if y.dtype.kind not in "iu":
            raise ValueError(f"{y_name} must hold integers, got dtype {y.dtype}")
        if y.min() < 0 or y.max() >= self.output_size:
            raise ValueError(f"{y_name} must be in 0..{self.output_size - 1}, got {y.min()}..{y.max()}")
        return self._convert(X, X_name), y.astype(np.intp)

    def _check_options(self):
        """See that the options, to which anyone may assign, are right; returns the sizes."""
        for name in ("input_size", "hidden_size", "output_size"):
            setattr(self, name, _number(name, getattr(self, name), "[1, 1e12)", Integral))
        _choice("activation", self.activation, ACTIVATIONS)
        _choice("criterion", self.criterion, CRITERIA)
        self.leak = _number("leak", self.leak, "[0, 1)")
        self.dropout = _number("dropout", self.dropout, "[0, 1)")
        self.dtype = _dtype(self.dtype)
        self.rng = _generator(self.rng)
        return self.input_size, self.hidden_size, self.output_size

    def _check_params(self):
        """See that `params` and the options are what the formulas expect."""
        D, H, C = self._check_options()
        shapes = {"W1": (D, H), "b1": (H,), "W2": (H, C), "b2": (C,)}
        if not isinstance(self.params, dict):
            raise TypeError(f"params must be a dict, got {self.params!r}")
        if set(self.params) != set(shapes):
            raise ValueError(f"params must have the keys {list(shapes)}, got {list(self.params)}")
        for name, shape in shapes.items():
            w = _array(f"params[{name!r}]", self.params[name])
            if w.shape != shape or w.dtype.kind not in "iuf":
                raise ValueError(f"params[{name!r}] must be real {shape}, got {w.dtype} {w.shape}")
            with np.errstate(over="ignore"):  # an overflow shows in the loss
                self.params[name] = np.ascontiguousarray(w, dtype=self.dtype)


def optimizer_step(optimizer, w, g, *state, learning_rate, step=1, l2=0.0, **options):
    """Update parameters w in place, given the gradient g of the loss without its penalty; g is overwritten.

    w, g : arrays of one shape, float64 or float32.
    state : arrays like w that begin at zero and are updated too: none for "sgd", v for "momentum", s for
        "rmsprop", m and s for "adam".
    step : 1, 2, 3, ...; Adam's correction for the zeros at the beginning.
    l2 : the gradient of the penalty is l2 * w, so 2 * reg for weights and 0 for biases.
    learning_rate : >= 0; options : as of `train`, with the defaults in OPTIMIZERS.

    Raises ValueError or TypeError, before anything is changed, for arrays not alike and for wrong numbers.
    """
    options = _optimizer_options(optimizer, options)
    if len(state) != STATE[optimizer]:
        raise TypeError(f"state: {optimizer!r} keeps {STATE[optimizer]} arrays like w, got {len(state)}")
    for name, a in zip(("w", "g", "state[0]", "state[1]"), (w, g, *state), strict=False):
        if type(a) is not np.ndarray or a.dtype not in SMALL or not a.flags.writeable:
            raise TypeError(f"{name} must be a writeable float64 or float32 array, got {a!r:.200}")
        if (a.shape, a.dtype) != (w.shape, w.dtype):
            raise ValueError(f"{name} must be like w, {w.dtype} {w.shape}, got {a.dtype} {a.shape}")
    rate, l2 = _number("learning_rate", learning_rate, "[0, inf)"), _number("l2", l2, "[0, inf)")
    step = _number("step", step, "[1, inf)", Integral)
    with np.errstate(all="ignore"):  # an overflow shows in w
        _update(optimizer, w, g, *state, lr=rate, step=step, l2=l2, **options)


def _update(optimizer, w, g, *state, lr, step, l2, **o):
    """What `optimizer_step` does, without checks: `train` calls this for each block of the parameters.

    For "sgd" and "momentum" `train` has put the learning rate into g already, by way of the smaller dL/dS,
    and gives lr = 1.
    """
    if optimizer == "sgd":  # w -= lr * (g + l2 * w), in a way that makes no temporary array
        w *= 1 - lr * l2
        if lr != 1:
            g *= lr
        w -= g
        return
    if l2:
        g += l2 * w  # the gradient with the penalty's
    if optimizer == "momentum":
        (v,) = state
        v *= o["momentum"]
        if lr != 1:
            g *= lr
        v -= g  # v = momentum * v - lr * g
        w += v
    elif optimizer == "rmsprop":  # Tieleman and Hinton 2012
        (s,) = state
        s *= o["rho"]
        s += (1 - o["rho"]) * g * g  # s = rho * s + (1 - rho) * g**2
        w -= lr * g / (np.sqrt(s) + o["eps"])
    else:  # "adam", Kingma and Ba 2015
        m, s = state
        m *= o["beta1"]
        m += (1 - o["beta1"]) * g  # m = beta1 * m + (1 - beta1) * g
        s *= o["beta2"]
        s += (1 - o["beta2"]) * g * g  # s = beta2 * s + (1 - beta2) * g**2
        w -= lr / (1 - o["beta1"] ** step) * m / (np.sqrt(s / (1 - o["beta2"] ** step)) + o["eps"])


def _flush(a):
    """Set numbers that are close to the subnormal ones to 0, as products of those are slow.

    A net that is sure of its training labels (mnist5k, 256 hidden units) takes 0.8 s with it and 3.3 s
    without; one with dead units, whose weights the penalty makes smaller and smaller (MNIST, 64 hidden
    units, learning rate 0.74, reg 0.004), 2.6 s and 53 s.
    """
    a[np.abs(a) < SMALL[a.dtype]] = 0


def _stops(answer, history):
    """Whether a callback's answer stops the training, once it is known that history still has its lists."""
    if not all(type(history.get(name)) is list for name in HISTORY):
        raise ValueError(f"callback must leave the lists {', '.join(HISTORY)} in history; it may add others")
    return isinstance(answer, bool | np.bool_) and bool(answer)


def _check_finite(loss, it, steps, rate):
    if not math.isfinite(loss):
        where = f"the loss is {loss} at step {it} of {steps}, learning rate {rate:g}"
        raise FloatingPointError(f"{where}: try smaller rates, X nearer to 0 or a smaller std")


def _check_checkpoint(path, resume):
    if path is None:
        if resume:
            raise ValueError("resume=True needs checkpoint, the path of the file to go on from; got None")
        return
    whole = Path(os.path.realpath(_path("checkpoint", path)))
    fits = whole.parent.is_dir() and (whole.is_file() or not whole.exists())
    if not fits or not os.access(whole.parent, os.W_OK):
        raise OSError(f"checkpoint={str(path)!r} must be a file in a folder that can be written to")
    for rest in whole.parent.glob(glob.escape(whole.name) + PART):  # of a training that was killed
        rest.unlink()


def _write_checkpoint(path, call, done, rng, arrays, history):
    generator = np.random.get_state(legacy=False) if rng is None else rng.bit_generator.state
    text = json.dumps([call, done, generator], default=np.ndarray.tolist)
    numbered = {f"array_{i}": a for i, a in enumerate(arrays)}
    records = {name: _array(f"history[{name!r}]", history[name]) for name in HISTORY}
    if not _is_history(records, done["steps"]):
        raise ValueError("history must hold a number for each step and epoch to be of use in a checkpoint; "
                         "what a callback adds belongs in lists of its own")  # fmt: skip
    _write_npz(path, {**records, "checkpoint": text, **numbered})


def _is_history(records, steps):
    """Whether these arrays by name are a loss for each step and as many numbers each for the epochs."""
    losses, *others = records.values()
    plain = all(a.ndim == 1 and a.dtype.kind == "f" for a in records.values())
    return plain and len(losses) == steps and len(set(map(len, others))) == 1


def _read_checkpoint(path, call, steps, whole, net, arrays, history):
    """What was done; restores the net's options and rng, arrays and history, unless it does not fit the call.

    It must be of at most `steps` steps, a multiple of `whole`.
    """
    data = _read_npz(path, "checkpoint")
    try:
        then, done, generator = json.loads(data["checkpoint"].item())
        for key, value in json.loads(json.dumps(call)).items():
            if key not in then or then[key] != value:
                raise ValueError(f"its {key} was {then.get(key)}, not {value}")
        if _number("steps", done["steps"], "[1, inf)", Integral) > steps:
            raise ValueError(f"it has {done['steps']} steps, epochs or num_iters ask for {steps}")
        done["rate"] = _number("rate", done["rate"], "[0, inf)")
        _number("best_val_acc", done["best_val_acc"], "[-1, 2)")
        found = [data[f"array_{i}"] for i in range(len(arrays))]
        fits = [(a.shape, a.dtype) == (b.shape, b.dtype) for a, b in zip(arrays, found, strict=True)]
        fits += [not np.isnan(a).any() for a in found] + [type(done["stopped"]) is bool]
        records = {name: data[name] for name in HISTORY}
        fits += [_is_history(records, done["steps"]), done["steps"] % whole == 0]
        # numpy believes these, and would read memory that is not the generator's, or draw NaN, or for ever
        fits += [0 <= generator["state"].get("pos", 0) <= 624, 0 <= generator.get("buffer_pos", 0) <= 4]
        fits += [math.isfinite(generator.get("gauss", 0)), generator["state"].get("key") != [0] * 624]
        if not all(fits):
            raise ValueError("its parts do not fit together")
        # a callback may have changed the options since the call; a net refuses wrong ones
        options = TwoLayerNet(1, 1, 1, "zeros", **done["options"])._options()
        if net.rng is None:
            np.random.RandomState().set_state(generator)  # if it fails, the global one is still as it was
            np.random.set_state(generator)
        else:
            net.rng.bit_generator.state = generator
        vars(net).update(options)
    except Exception as error:
        raise ValueError(f"{path} is damaged or of other training: {error}") from error
    for a, b in zip(arrays, found, strict=True):
        a[:] = b
    for name in HISTORY:
        history[name] += records[name].tolist()
    return done


@contextmanager
def _replacing(path):
    """Open a file of bytes that takes path's place when the block ends, and only if without an error.

    Of a link, what it leads to is replaced. The permissions of a file that is there are kept.
    """
    path = os.path.realpath(path)
    temporary = Path(f"{path}.{os.urandom(4).hex()}.part")  # as PART says
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(f"{path} is not an ordinary file")
        with open(temporary, "w+b") as file:
            with suppress(FileNotFoundError):
                os.chmod(temporary, os.stat(path).st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # a full disk says nothing of the path, others name the temporary file
        if error.errno and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, path) from error
        raise
    finally:
        with suppress(OSError):  # it is not there
            temporary.unlink()


def _write_npz(path, arrays):
    content = io.BytesIO()  # a full disk would leave np.savez half-way, with complaints of its own
    np.savez(content, format=FILE_FORMAT, **arrays)
    with _replacing(path) as file:
        file.write(content.getbuffer())


def _read_npz(path, kind):
    """The arrays in a file of `_write_npz`, without its format number; kind is what it is to be."""
    with open(path, "rb") as file:
        try:
            if file.read(4) != b"PK\3\4":
                raise ValueError("it is no .npz file")
            with zipfile.ZipFile(file) as z:
                sizes = [e.file_size for e in z.filelist if e.compress_type == zipfile.ZIP_STORED]
                if len(sizes) < len(z.filelist) or sum(sizes) > os.path.getsize(path):
                    raise ValueError("its entries are compressed or overlap")  # a little could become a lot
                data = {name.removesuffix(".npy"): _read_npy(z, name) for name in z.namelist()}
            found = data.pop("format").item()
        except Exception as error:
            raise ValueError(f"{path} is damaged or no {kind}: {error}") from error
    if found != FILE_FORMAT:
        raise ValueError(f"{path} has format {found!r}; this version reads format {FILE_FORMAT}")
    if ("checkpoint" in data) != (kind == "checkpoint"):
        raise ValueError(f"{path} is not a {kind}" + ", it is a checkpoint" * ("checkpoint" in data))
    return data


def _read_npy(z, name):
    """An array of the archive z, not by np.load, which makes room for all that the header claims."""
    with z.open(name) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is not of version 1.0")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
        array = np.frombuffer(bytearray(file.read()), dtype)  # refuses objects
    return array.reshape(shape, order="F" if fortran_order else "C")


def _array(name, value):
    if _is_masked(value):
        raise TypeError(f"{name} has a masked array, its mask would be lost: give its .filled(0) instead")
    try:
        return np.asarray(value)
    except Exception as error:  # of objects that can be made into arrays, and cannot
        raise ValueError(f"{name} must be an array, got a {type(value).__name__}: {error}") from error


def _is_masked(value):
    if isinstance(value, list | tuple):
        return any(map(_is_masked, value))
    return np.ma.isMaskedArray(value)


def _path(name, path):
    # open takes integers, too: other files' descriptors
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise TypeError(f"{name} must be a path, got {path!r}")
    if os.fspath(path) == "" or "\0" in os.fspath(path):  # Path takes "" for the current folder
        raise ValueError(f"{name} must be a path, got {path!r}")
    return Path(path)


def _room(name, value, *shape, dtype=float):
    """Refuse an argument that asks for an array larger than all memory."""
    try:
        np.empty(shape, dtype)  # takes no time: memory is given only where it is written to
    except (MemoryError, ValueError, OverflowError) as error:
        raise MemoryError(f"{name} must be small enough for the memory, got {value!r}: {error}") from error


def _dtype(dtype):
    with suppress(TypeError, ValueError, SyntaxError):  # what is no dtype at all is refused below
        dtype = None if dtype is None else np.dtype(dtype).name  # numpy takes None for float64
    return np.dtype(_choice("dtype", dtype, ("float64", "float32")))


def _flag(name, value):
    if not isinstance(value, int | np.bool_) or value not in (0, 1):  # "no" would be true
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _choice(name, value, allowed):
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
    return value


def _number(name, value, interval, kind=Real):
    """value as a Python float or int, once it is known to lie in an interval such as "[0, 1)"."""
    if not isinstance(value, kind) or isinstance(value, bool):
        noun = "an integer" if kind is Integral else "a number"
        raise TypeError(f"{name} must be {noun} in {interval}, got {value!r}")
    try:
        number = float(value)  # before it is compared: it may be rounded to the end of the interval
    except OverflowError:
        number = math.inf
    low, high = map(float, interval[1:-1].split(","))
    if not (low < number < high or (number == low and interval[0] == "[")):
        raise ValueError(f"{name} must be in {interval}, got {value!r}")
    return int(value) if kind is Integral else number


def _generator(rng):
    if rng is None or isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(_number("rng (None, a Generator or a seed)", rng, "[0, inf)", Integral))


def _optimizer_options(optimizer, given):
    options = OPTIMIZERS[_choice("optimizer", optimizer, OPTIMIZERS)]
    for name, value in given.items():
        if name not in options:
            raise TypeError(f"unknown option {name}={value!r}; {optimizer!r} takes {list(options) or 'none'}")
        options = {**options, name: _number(name, value, "(0, inf)" if name == "eps" else "[0, 1)")}
    return options
