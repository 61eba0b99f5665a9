"""A two-layer neural network in one class, with numpy and nothing else.

For a batch X of N rows of D numbers, H hidden units and C classes, forward:

    Z = X W1 + b1      (N, H)  before the activation function f
    F = f(Z)           (N, H)  after it
    A = F * M          (N, H)  hidden units; M is the dropout mask, 1 without dropout
    S = A W2 + b2      (N, C)  scores
    P = softmax(S)     (N, C)  probabilities, p_j = exp(s_j) / sum_k exp(s_k) in each row
    L = (mean over the rows of -log p_y, y the row's label) + reg (sum(W1^2) + sum(W2^2))

and backward, by the chain rule. Here dS stands for the derivative of L with respect to S, and so
on; Y (N, C) holds the labels as one-hot rows; and * is the elementwise product:

    dS = (P - Y) / N
    dW2 = A^T dS + 2 reg W2        db2 = sum of the rows of dS
    dA = dS W2^T
    dZ = dA * M * f'(Z)
    dW1 = X^T dZ + 2 reg W1        db1 = sum of the rows of dZ

The file begins with the functions in these formulas and with the update rules, a few lines each.
Then comes the class: `loss`, `_forward` and `_backward` are the formulas above, and `train` draws a
batch, calls `loss` and updates the parameters, again and again.

The file needs nothing but numpy, and can be copied on its own. Check your own work against it:
write yours first, and hand in what your course's rules allow.
"""

import copy
import inspect
import json
import math
import pathlib
import uuid
import warnings
import zlib

import numpy as np

# ---- Activation functions f, each followed by its slope f'(Z). The slope is computed from
# F = f(Z), not from Z: for tanh and sigmoid that is simpler, and the ReLUs have F > 0 exactly where
# Z > 0. All take `leak`, so that they can be called alike; only the leaky ReLU
# uses it.


def relu(Z, leak):
    return np.maximum(Z, 0)


def relu_slope(F, leak):
    return F > 0  # True counts as 1, False as 0


def leaky_relu(Z, leak):
    return np.maximum(Z, leak * Z)  # as leak is from 0 to 1: Z above 0, leak * Z below


def leaky_relu_slope(F, leak):
    # np.where gives float64 here, which goes back to F's own dtype.
    return np.where(F > 0, 1, leak).astype(F.dtype)


def tanh(Z, leak):
    return np.tanh(Z)


def tanh_slope(F, leak):
    return 1 - F**2


def sigmoid(Z, leak):
    # This is 1 / (1 + exp(-Z)), in which exp(-Z) would overflow where Z is far below 0. With
    # e = exp(-Z), tanh(Z / 2) = (1 - e) / (1 + e), and so 1 + tanh(Z / 2) = 2 / (1 + e).
    return 0.5 * (1 + np.tanh(0.5 * Z))


def sigmoid_slope(F, leak):
    return F * (1 - F)


ACTIVATIONS = {
    "relu": (relu, relu_slope),
    "leaky_relu": (leaky_relu, leaky_relu_slope),
    "tanh": (tanh, tanh_slope),
    "sigmoid": (sigmoid, sigmoid_slope),
}


# ---- From scores to the loss


def log_softmax(S):
    """The logarithms of `softmax`: log p_j = s_j - log(sum_k exp(s_k)) in each row.

    They are finite also where p_j itself would be rounded to 0.
    """
    # Subtracting a row's largest score leaves its p_j as they are, and no exp can overflow.
    shifted = S - np.max(S, axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(S):
    """Probabilities of scores: p_j = exp(s_j) / sum_k exp(s_k) in each row.

    S: (N, C). Returns P, of the same shape, whose rows sum to 1.
    """
    return np.exp(log_softmax(S))


def cross_entropy(S, y):
    """The loss L, the mean of -log p_y over the rows, and dS, its derivative by the scores S."""
    N, C = S.shape
    Y = np.eye(C, dtype=S.dtype)[y]  # one-hot: row y of the unit matrix for each label y
    log_P = log_softmax(S)
    # vdot(Y, log_P) is the sum of Y * log_P, in which only log p_y is left of each row.
    loss = -np.vdot(Y, log_P) / N

    # For one row dL/ds_j = exp(s_j) / sum_k exp(s_k) - [j = y] = p_j - [j = y], where [j = y] is
    # 1 if j is the label y and 0 if not: a row of P - Y.
    P = np.exp(log_P)
    dS = (P - Y) / N
    return loss, dS


def mean_squared_error(S, y):
    """The loss L, the mean of (P - Y)^2 over rows and classes, and dS, its derivative by S."""
    N, C = S.shape
    Y = np.eye(C, dtype=S.dtype)[y]
    P = softmax(S)
    loss = np.mean((P - Y) ** 2)

    # For one row, let g_j = dL/dp_j = 2 (p_j - Y_j) / (N C). Each p_j depends on all scores of the
    # row. Of log p_j = s_j - log(sum_i exp(s_i)) the derivative by s_k is [j = k] - p_k, where
    # [j = k] is 1 if j = k and else 0. So dp_j/ds_k = p_j ([j = k] - p_k), and
    #     dL/ds_k = sum_j g_j dp_j/ds_k
    #             = sum_j g_j p_j [j = k]  -  sum_j g_j p_j p_k
    #             = g_k p_k  -  p_k sum_j g_j p_j
    #             = p_k (g_k - sum_j g_j p_j).
    # The sum over j is one number for each row.
    dP = 2 * (P - Y) / (N * C)
    dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
    return loss, dS


CRITERIA = {"softmax": cross_entropy, "mse": mean_squared_error}


# ---- Update rules. Each changes the parameter w in place; g is the derivative of the loss by w.
# `state` is a dict, one for each parameter and empty at first, in which a rule keeps what it needs
# in the next step: arrays, or Python's numbers.


def sgd(w, g, state, learning_rate):
    # w -= learning_rate * g, without a new array. g is not needed after the step.
    g *= learning_rate
    w -= g


def momentum(w, g, state, learning_rate, momentum=0.9):
    """The new velocity v is momentum times the old one, minus learning_rate g. Polyak 1964."""
    if "v" not in state:
        state["v"] = np.zeros_like(w)
    v = state["v"]
    v *= momentum
    v -= learning_rate * g
    w += v


def rmsprop(w, g, state, learning_rate, rho=0.99, eps=1e-8):
    """s is a running mean of g^2. Tieleman and Hinton 2012."""
    if "s" not in state:
        state["s"] = np.zeros_like(w)
    s = state["s"]
    s *= rho
    s += (1 - rho) * g**2
    w -= learning_rate * g / (np.sqrt(s) + eps)


def adam(w, g, state, learning_rate, beta1=0.9, beta2=0.999, eps=1e-8):
    """m and s are running means of g and g^2; t counts the steps. Kingma and Ba 2015."""
    if "t" not in state:
        state.update(t=0, m=np.zeros_like(w), s=np.zeros_like(w))
    state["t"] += 1
    t = state["t"]
    m = state["m"]
    s = state["s"]
    m *= beta1
    m += (1 - beta1) * g
    s *= beta2
    s += (1 - beta2) * g**2
    # As m and s begin at 0 they are too small in the first steps; these factors correct it.
    m_hat = m / (1 - beta1**t)
    s_hat = s / (1 - beta2**t)
    w -= learning_rate * m_hat / (np.sqrt(s_hat) + eps)


OPTIMIZERS = {"sgd": sgd, "momentum": momentum, "rmsprop": rmsprop, "adam": adam}


PARAMS = ("W1", "b1", "W2", "b2")

HISTORY = (  # see `train`
    "loss_history",
    "train_acc_history",
    "val_acc_history",
    "val_loss_history",
    "penalty_history",
    "learning_rate_history",
    "step_history",
)


class TwoLayerNet:
    """A fully connected network with one hidden layer and a softmax output, for classification.

    input_size, hidden_size, output_size: the numbers D of inputs, H of hidden units, C of classes.
    std: standard deviation of the weights, which are drawn from a normal distribution around 0. A
        number, or "zeros" (0), "normal" (1), "xavier" (sqrt(2 / (fan_in + fan_out)), Glorot and
        Bengio 2010), "he" (sqrt(2 / fan_in), He et al. 2015), where fan_in and fan_out are the
        numbers of rows and columns of the matrix. Biases start at zero.
    activation: "relu", "leaky_relu" (slope `leak`, 0 to 1, below zero), "tanh" or "sigmoid".
    dropout: probability that a hidden unit is dropped in training; the others are scaled by
        1 / (1 - dropout), so that nothing has to be scaled when predicting ("inverted dropout",
        after Srivastava et al. 2014).
    criterion: "softmax" (cross-entropy) or "mse" (mean over rows and classes of (P - Y)^2).
    dtype: of the parameters and all arithmetic: np.float64, or np.float32, nearly twice as fast.
    rng: draws weights, masks and batches: a seed, a Generator, or None for numpy's global one.

    `params` is a dict of W1 (D, H), b1 (H,), W2 (H, C), b2 (C,), which training changes in place.
    You may assign arrays of your own; biases of shape (1, H) and (1, C) are accepted, too.

    Raises ValueError, naming the option, for sizes below 1, leak or dropout out of range, and
    unknown names.
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
        _require(
            min(input_size, hidden_size, output_size) >= 1,
            f"the sizes {input_size}, {hidden_size}, {output_size} must be at least 1",
        )
        _check_choice("activation", activation, ACTIVATIONS)
        _check_choice("criterion", criterion, CRITERIA)
        _require(0 <= leak <= 1, f"{leak = } must be from 0 to 1")
        _require(0 <= dropout < 1, f"{dropout = } must be in [0, 1), it is 1 - keep_prob")
        _check_choice("dtype", np.dtype(dtype).name, ("float64", "float32"))
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = output_size
        self.activation = activation
        # A float32 array times a Python float is float32, but times an np.float64 it is float64.
        self.leak = float(leak)
        self.dropout = dropout
        self.criterion = criterion
        self.dtype = np.dtype(dtype)
        # default_rng makes a Generator of a seed, and returns a Generator as it is.
        self.rng = None if rng is None else np.random.default_rng(rng)
        self.params = {
            "W1": self._initial_weights(input_size, hidden_size, std),
            "b1": np.zeros(hidden_size, self.dtype),
            "W2": self._initial_weights(hidden_size, output_size, std),
            "b2": np.zeros(output_size, self.dtype),
        }

    def _initial_weights(self, fan_in, fan_out, std):
        """Weights (fan_in, fan_out) drawn from a normal distribution around 0."""
        named = {
            "zeros": 0.0,
            "normal": 1.0,
            "xavier": math.sqrt(2 / (fan_in + fan_out)),
            "he": math.sqrt(2 / fan_in),
        }
        if isinstance(std, str):
            _check_choice("std", std, named)
            std = named[std]
        if std == 0:
            # Zeros need no draw. So `load`, which fills a net of zeros, leaves numpy's global
            # generator as it was.
            return np.zeros((fan_in, fan_out), self.dtype)
        W = self._generator().normal(0, std, (fan_in, fan_out))
        return W.astype(self.dtype)

    def _generator(self):
        """What draws random numbers: the net's own Generator or numpy's global one."""
        if self.rng is None:
            return np.random
        return self.rng

    def _parameters(self):
        """W1, b1, W2, b2, converted to the net's dtype if arrays of another were assigned."""
        return [np.asarray(self.params[name], self.dtype) for name in PARAMS]

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        """The scores of X or, given labels, the loss and its gradients.

        X: (N, D), or (N, ...) with D numbers a row; any real dtype. y: (N,) integers in 0..C-1.
        reg: strength of the penalty reg * (sum(W1**2) + sum(W2**2)).
        rng: int or Generator that draws the dropout mask of this call, instead of the net's own.

        Returns scores (N, C), with nothing dropped, if y is None; otherwise (loss, grads), a float
        and a dict keyed and shaped like `params`. Raises ValueError for X or y that do not fit,
        FloatingPointError for scores or a loss that are not finite.
        """
        X = self._check_X(X)
        reg = float(reg)  # not np.float64, which would turn float32 arrays into float64
        # An overflow ends in the errors below, so numpy need not warn as well.
        with np.errstate(over="ignore", invalid="ignore"):
            if y is None:
                _, _, S = self._forward(X, M=1)
                _check_overflow("a score", S, X)
                return S
            y = self._check_y(y, X)
            M = self._dropout_mask(len(X), rng)
            F, A, S = self._forward(X, M)
            loss, dS = CRITERIA[self.criterion](S, y)
            loss = float(loss) + self._penalty(reg)
            _check_overflow("the loss", loss, X)
            return loss, self._backward(X, M, F, A, dS, reg)

    def _dropout_mask(self, N, rng):
        """M (N, H), 0 where a hidden unit is dropped, else 1 / (1 - dropout); 1 without dropout."""
        if self.dropout == 0:
            return 1
        rng = self._generator() if rng is None else np.random.default_rng(rng)
        stays = rng.random((N, self.hidden_size)) >= self.dropout
        return (stays / (1 - self.dropout)).astype(self.dtype)

    def _forward(self, X, M):
        """F (N, H), the hidden units A (N, H) and the scores S (N, C) of X (N, D)."""
        W1, b1, W2, b2 = self._parameters()
        f, _ = ACTIVATIONS[self.activation]
        Z = X @ W1 + b1
        F = f(Z, self.leak)
        A = F * M
        S = A @ W2 + b2
        return F, A, S

    def _backward(self, X, M, F, A, dS, reg):
        """The gradients, with the keys and shapes of `params`."""
        W1, b1, W2, b2 = self._parameters()
        _, slope = ACTIVATIONS[self.activation]
        ones = np.ones(len(X), self.dtype)  # ones @ dS is dS.sum(axis=0), but faster
        dW2 = A.T @ dS
        dW2 += 2 * reg * W2
        db2 = (ones @ dS).reshape(b2.shape)  # (C,), or (1, C) as some courses have it
        dA = dS @ W2.T
        dZ = dA * M * slope(F, self.leak)
        dW1 = X.T @ dZ
        dW1 += 2 * reg * W1
        db1 = (ones @ dZ).reshape(b1.shape)
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def _penalty(self, reg):
        """reg (sum(W1^2) + sum(W2^2)), a float; vdot(W, W) is the sum of the squares."""
        W1, _, W2, _ = self._parameters()
        return reg * float(np.vdot(W1, W1) + np.vdot(W2, W2))

    def predict(self, X):
        """Labels (N,) of X, (N, D) or (N, ...): the class with the highest score."""
        return self.loss(X).argmax(axis=1)

    def accuracy(self, X, y):
        """The share, 0 to 1, of the rows of X whose predicted label is the one in y (N,)."""
        y = self._check_y(y, X)
        return float(np.mean(self.predict(X) == y))

    def evaluate(self, X, y):
        """The loss of X, y (of the data alone: no penalty, no dropout) and the accuracy, 0 to 1.

        `train` takes its validation figures from here. A subclass whose `loss` computes another
        loss should override `evaluate` as well.
        """
        y = self._check_y(y, X)
        S = self.loss(X)
        loss, _ = CRITERIA[self.criterion](S, y)
        _check_overflow("the loss", loss, X)
        return float(loss), float(np.mean(S.argmax(axis=1) == y))

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
        augment=None,
        callback=None,
        checkpoint=None,
        resume=False,
        keep_best=False,
        **options,
    ):
        """Train by mini-batch gradient descent on X, y, and validate on X_val, y_val (see `loss`).

        learning_rate: a number, multiplied by learning_rate_decay (above 0, up to 1) after each
            epoch; or a function that is given the progress of training, a number from 0 to 1, and
            returns the rate, which is not multiplied by learning_rate_decay then.
        num_iters: the number of steps, 100 by default. Each step takes batch_size rows drawn with
            replacement. An epoch is N // batch_size steps, but the very first step counts as an
            epoch by itself, as in the assignment of Stanford's course cs231n: if N // batch_size
            is 5, epochs end with steps 1, 6, 11 and so on, and step 2 already has a lower rate.
        epochs: to be given instead of num_iters: the number of passes over all rows. The rows are
            shuffled anew for each epoch; its last batch may be short.
        verbose: print the loss every 100 steps or, with epochs, a line an epoch.
        optimizer: "sgd", "momentum", "rmsprop" or "adam", or a function of your own that is written
            like those above the class.
        options: the update rule's own, as in train(..., optimizer="momentum", momentum=0.8).
        augment: a function (X_batch, rng) -> X_batch. It gets the rows in the shape they have in X.
        callback: a function (net, history), called after each epoch. If it returns True, training
            ends.
        checkpoint: a file that is written before the first step and after each epoch. With
            resume=True training continues from it, if the file exists, and ends with the same
            parameters, bit for bit, as without the interruption. Warns if nothing is left to do.
        keep_best: end with the parameters that had the best validation accuracy at the end of an
            epoch or of training, also if training is stopped by Ctrl-C.

        Returns `history`, a dict of lists, which is net.history, too. One entry a step:
            'loss_history': the loss of the batch, penalty included.
        One entry an epoch:
            'train_acc_history': accuracy on the batch or, with epochs, on the first rows of X, as
                many as X_val has.
            'val_acc_history', 'val_loss_history': what `evaluate` says of X_val, y_val.
            'penalty_history': the penalty, which 'val_loss_history' does not include.
            'learning_rate_history', 'step_history': the rate, and the number of steps done.

        Raises ValueError, saying what to do, for data and options that do not fit. Raises
        FloatingPointError if the loss or a score overflows, after setting the parameters back to
        what they were. Warns if nothing was learned.
        """
        # Check all that was given before anything is changed.
        _check_rates(learning_rate, learning_rate_decay, reg)
        _require(checkpoint is not None or not resume, "resume=True needs checkpoint, a file")
        update = _update_rule(optimizer, options)
        row_shape = np.shape(X)[1:]  # for `augment`; the next line flattens the rows
        X = self._check_X(X)
        y = self._check_y(y, X)
        X_val = self._check_X(X_val, "X_val")
        y_val = self._check_y(y_val, X_val, "y_val")
        _check_finite("X", X)
        _check_finite("X_val", X_val)
        steps, epoch_steps = _count_steps(len(X), num_iters, epochs, batch_size)
        # Update rules change arrays in place, so lists and arrays of another dtype that were
        # assigned to params are replaced by converted ones here. All others remain in place.
        self.params.update(zip(PARAMS, self._parameters(), strict=True))

        # Prepare what the loop below reads and changes.
        rng = self._generator()
        history = self.history = {name: [] for name in HISTORY}
        # kept["W1"] and so on are the `state` dicts of the update rule; kept["best"] holds the best
        # parameters so far, with keep_best.
        kept = {"W1": {}, "b1": {}, "W2": {}, "b2": {}, "best": {}}
        stopped = False  # becomes True when the callback returns True
        if checkpoint is not None:  # these lines can be skipped on a first reading
            # Net, data and options as lines of text. Those in the checkpoint must be the same when
            # training is resumed. `_resume` sets the generator, and fills params, history, kept.
            settings = self._describe(X, y, X_val, y_val)
            settings += [f"learning_rate = {_text_of(learning_rate)}"]
            settings += [f"{learning_rate_decay = }", f"{reg = }", f"{batch_size = }"]
            settings += [f"epochs given: {epochs is not None}", f"{keep_best = }"]
            settings += [f"optimizer = {_text_of(optimizer)}", f"{options = }"]
            settings += [f"augment = {_text_of(augment)}"]
            if resume and pathlib.Path(checkpoint).exists():
                stopped = self._resume(checkpoint, settings, kept, steps)
            self._write_checkpoint(checkpoint, settings, kept, stopped)
        params_before = copy.deepcopy(self.params)

        try:
            # After a resume the history has an entry for each step that was done already.
            for it in range(len(history["loss_history"]), steps):
                if stopped:
                    break
                epochs_done = len(history["step_history"])  # it has one entry an epoch
                rate = _rate(learning_rate, it / steps, learning_rate_decay, epochs_done)

                # Draw the rows of the batch.
                i = it % epoch_steps
                if epochs is None:
                    rows = rng.choice(len(X), batch_size)
                    epoch_ends = i == 0  # in the very first step, too: see num_iters
                else:
                    if i == 0:
                        # Resumed trainings begin here, too: checkpoints are of whole epochs.
                        order = rng.permutation(len(X))
                    rows = order[i * batch_size : (i + 1) * batch_size]
                    epoch_ends = i == epoch_steps - 1
                X_batch = X[rows]
                if augment is not None:
                    X_batch = augment(X_batch.reshape(-1, *row_shape), rng)

                # Take a step: move all parameters against their gradients.
                loss, grads = self.loss(X_batch, y[rows], reg)
                self._record(loss=loss)
                for name, w in self.params.items():
                    update(w, grads[name], kept[name], rate, **options)
                if verbose and epochs is None and it % 100 == 0:
                    print(f"iteration {it} / {steps}: loss {loss:f}")

                # Validate at the end of each epoch, and of training.
                if epoch_ends or it + 1 == steps:
                    val_loss, val_acc = self.evaluate(X_val, y_val)
                    # val_acc is not in the history yet; -1 stands for an empty one
                    if keep_best and val_acc > max(history["val_acc_history"], default=-1):
                        kept["best"].update(copy.deepcopy(self.params))
                if epoch_ends:
                    # slice(n) means :n, the first n rows
                    sample = rows if epochs is None else slice(len(X_val))
                    train_acc = self.accuracy(X[sample], y[sample])
                    self._record(train_acc=train_acc, val_acc=val_acc, val_loss=val_loss)
                    self._record(penalty=self._penalty(reg), learning_rate=rate, step=it + 1)
                    if verbose and epochs is not None:
                        accuracies = f"train acc {train_acc:.4f}, val acc {val_acc:.4f}"
                        print(f"epoch {epochs_done + 1} / {epochs}: loss {loss:f}, {accuracies}")
                    if callback is not None:
                        answer = callback(self, history)
                        # A number that a callback happens to return does not end training.
                        stopped = answer is True or answer is np.True_
                    if checkpoint is not None:
                        self._write_checkpoint(checkpoint, settings, kept, stopped)
        except FloatingPointError as error:
            kept["best"] = params_before  # no later ones are worth keeping
            raise FloatingPointError(f"step {it} of {steps}, rate {rate:g}: {error}") from None
        finally:
            # kept["best"] holds, after an overflow, the parameters from before training, and
            # otherwise, also after Ctrl-C, the best ones. It is empty without keep_best.
            self._set_params(kept["best"])
        self._warn_if_nothing_was_learned(y, reg)
        return history

    def _set_params(self, arrays):
        """Copy those of W1, b1, W2, b2 that are in the dict `arrays` into the net's own."""
        for name, w in self.params.items():
            if name in arrays:
                w[...] = arrays[name]

    def _record(self, **values):
        """Append each value to the list of its name in the history."""
        for name, value in values.items():
            self.history[f"{name}_history"].append(value)

    def _warn_if_nothing_was_learned(self, y, reg):
        """Warn if the loss ended well above its beginning, or the net is no better than a guess."""
        losses = self.history["loss_history"]
        if len(losses) < 50:
            return  # too short to tell
        began = losses[0]
        tenth = len(losses) // 10
        ended = np.mean(losses[-tenth:])
        # A guess ignores X and gives each class its share of the labels as probability. The scores
        # log(share), the same in all rows, do that: exp(log(share)) = share, and the shares sum
        # to 1. 1e-9 avoids log(0).
        shares = np.bincount(y, minlength=self.output_size) / len(y)
        S = np.tile(np.log(shares + 1e-9), (len(y), 1))  # this row, len(y) times
        guess, _ = CRITERIA[self.criterion](S, y)
        data_loss = ended - self._penalty(reg)  # as the loss of a guess has no penalty
        seen = f"the loss went from {began:.6g} to {ended:.6g}; a guess has {guess:.6g}"
        # With `ended > guess`, as a net that was good before may begin so low that twice as much is
        # still good. shares.max() is the accuracy of always naming the most frequent class. The
        # limits 2, 0.99 and 1.5 are rules of thumb.
        if ended > 2 * began and ended > guess:
            advice = "a smaller learning rate, std='he', or X nearer to 0 (pixels / 255)"
            problem = "the steps were too large"
        elif data_loss > 0.99 * guess and self.history["val_acc_history"][-1] < 1.5 * shares.max():
            advice = "std='he', a rate 10 times larger or smaller, X nearer to 0, a smaller reg"
            problem = "nothing was learned"
        else:
            return
        # stacklevel 3: the warning names the line that called `train`
        warnings.warn(f"{problem}: {seen}. Try {advice}", stacklevel=3)

    # ---- What students do wrong gets an error that says what to do.

    def _check_X(self, X, name="X"):
        """X as rows (N, D) in the net's dtype; copied only if it is not so already."""
        X = np.asarray(X)
        D = self.input_size
        if len(X) == 0 or X[0].size != D:
            raise ValueError(
                f"{name} must be (N, {D}), got {X.shape}; give one row as x[None], "
                "a new image as data.transform(image) if data is a Dataset of data_utils"
            )
        X = X.reshape(len(X), D)
        # For speed: an array with an unusual layout in memory would be copied in each product.
        # np.require copies it once; others it returns as they are.
        return np.require(X, self.dtype, ["C_CONTIGUOUS", "ALIGNED"])

    def _check_y(self, y, X, name="y"):
        """y as an array (N,) of integers 0..C-1, one for each of the N rows of X."""
        y = np.ascontiguousarray(y)  # contiguous for zlib.crc32, which checkpoints use
        N = len(X)
        C = self.output_size
        if y.shape != (N,):
            raise ValueError(
                f"{name} must have shape ({N},), got {y.shape}; "
                f"use {name}.ravel() for (N, 1), {name}.argmax(axis=1) for one-hot rows"
            )
        if y.dtype.kind not in "iu":
            raise ValueError(
                f"{name} must hold integers, got {y.dtype}; "
                f"use {name}.astype(int), for names np.unique({name}, return_inverse=True)[1]"
            )
        if y.min() < 0 or y.max() >= C:
            raise ValueError(
                f"{name} must be in 0..{C - 1}, got {y.min()}..{y.max()}; "
                "the first label is 0, and output_size is the number of classes"
            )
        return y

    # ---- Files. Up to the helpers at the end, this can be skipped on a first reading.

    def save(self, path):
        """Write parameters and options (not rng) to the file `path`, for load or np.load (.npz)."""
        _write_npz(path, self._contents())

    def _contents(self):
        """The options and parameters that a file holds, by name."""
        return {
            "activation": self.activation,
            "leak": self.leak,
            "dropout": self.dropout,
            "criterion": self.criterion,
            **self.params,
        }

    @classmethod
    def load(cls, path):
        """A new net, with rng=None, from a file of `save`: net = TwoLayerNet.load(path).

        Reads checkpoints of `train`, too, and files of W1, b1, W2 and b2 alone, whose nets get the
        class's default options. Raises ValueError naming a file that is damaged or does not fit.
        """
        arrays = _read_npz(path)
        for name in PARAMS:
            _require(name in arrays, f"{path} has no {name}, only {list(arrays)}")
        try:
            D, H = arrays["W1"].shape
            C = arrays["b2"].size
            # float32 or float64, whichever can hold the numbers of W1.
            options = {"dtype": np.promote_types(arrays["W1"].dtype, np.float32)}
            for name in ("activation", "leak", "dropout", "criterion"):
                if name in arrays:
                    options[name] = arrays[name].item()  # np.savez had made an array of it
            net = cls(D, H, C, "zeros", **options)
            for name, w in net.params.items():
                new = arrays[name]
                _require(new.size == w.size, f"{name} has shape {new.shape}, not {w.shape}")
                w[...] = new  # (1, H) fits into (H,)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a net that fits: {error}") from error
        return net

    def _describe(self, X, y, X_val, y_val):
        """A line for each thing of net and data that must be the same to resume a training."""
        return [
            f"input_size = {self.input_size}",
            f"hidden_size = {self.hidden_size}",
            f"output_size = {self.output_size}",
            f"activation = {self.activation}",
            f"leak = {self.leak}",
            f"dropout = {self.dropout}",
            f"criterion = {self.criterion}",
            f"dtype = {self.dtype}",
            f"generator = {self._generator_state()['bit_generator']}",
            f"checksum of X = {zlib.crc32(X)}",
            f"checksum of y = {zlib.crc32(y)}",
            f"checksum of X_val = {zlib.crc32(X_val)}",
            f"checksum of y_val = {zlib.crc32(y_val)}",
        ]

    def _generator_state(self):
        """The generator's state, a dict; its 'bit_generator' is the name of the algorithm."""
        if self.rng is None:
            return np.random.get_state(legacy=False)
        return self.rng.bit_generator.state

    def _write_checkpoint(self, path, settings, kept, stopped):
        """Write all that `_resume` needs, and what `load` needs."""
        training = {
            "settings": settings,
            "history": self.history,
            "generator": self._generator_state(),
            "stopped": stopped,
        }
        arrays = self._contents()
        # json calls `default` for what it does not know: here numpy's arrays and numbers.
        arrays["training"] = json.dumps(training, default=lambda array: array.tolist())
        for name, values in kept.items():
            for key, value in values.items():
                arrays[f"{name} {key}"] = value  # such as "W1 v" and "best W1"
        _write_npz(path, arrays)

    def _resume(self, path, settings, kept, steps):
        """Take all from a checkpoint; return whether the callback had ended that training."""
        arrays = _read_npz(path)
        _require("training" in arrays, f"{path} is no checkpoint of train; give another file")
        training = json.loads(arrays["training"].item())
        for then, now in zip(training["settings"], settings, strict=True):
            _require(
                then == now,
                f"{path} is of a training with {then}, not {now}; "
                "give the same, another checkpoint, or resume=False to begin anew",
            )
        # numpy takes this state from JSON as it is, with lists for arrays.
        if self.rng is None:
            np.random.set_state(training["generator"])
        else:
            self.rng.bit_generator.state = training["generator"]
        self.history.update(training["history"])
        self._set_params(arrays)
        for entry, value in arrays.items():
            if " " in entry:
                name, key = entry.split(" ", maxsplit=1)
                if value.ndim == 0:
                    value = value.item()  # a number, such as Adam's t
                kept[name][key] = value
        if training["stopped"] or len(self.history["loss_history"]) >= steps:
            warnings.warn(
                f"{path} is of a training that has ended: nothing is left to do; "
                "give another file, or resume=False to begin anew",
                stacklevel=3,
            )
        return training["stopped"]


# ---- Helpers of the class


def _text_of(value):
    """The value itself, but "a function" for any function: two functions cannot be compared."""
    if callable(value):
        return "a function"
    return value


def _require(condition, message):
    if not condition:
        raise ValueError(message)


def _check_choice(name, value, choices):
    _require(value in choices, f"{name} = {value!r} must be one of {list(choices)}")


def _check_finite(name, X):
    _require(np.isfinite(X).all(), f"{name} has NaN or infinite values")


def _check_overflow(name, value, X):
    """Raise an error if the value, which was computed from X, is not finite."""
    if not np.isfinite(value).all():
        _check_finite("X", X)
        raise FloatingPointError(
            f"{name} is not finite: try a smaller rate or std, or X nearer to 0 (pixels / 255)"
        )


def _check_rates(learning_rate, learning_rate_decay, reg):
    _require(callable(learning_rate) or learning_rate > 0, f"{learning_rate = } must be > 0")
    _require(0 < learning_rate_decay <= 1, f"{learning_rate_decay = } must be in (0, 1]")
    _require(reg >= 0, f"{reg = } must be >= 0")


def _rate(learning_rate, progress, decay, epochs_done):
    """The learning rate of a step."""
    if not callable(learning_rate):
        return float(learning_rate * decay**epochs_done)
    rate = float(learning_rate(progress))
    _require(rate >= 0, f"learning_rate({progress}) is {rate}, and must be >= 0")
    return rate


def _update_rule(optimizer, options):
    """The function that is meant by `optimizer`; it must accept the options."""
    update = optimizer
    if not callable(optimizer):
        _check_choice("optimizer", optimizer, OPTIMIZERS)
        update = OPTIMIZERS[optimizer]
    signature = inspect.signature(update)
    # `bind` calls nothing, but fails as a call would; None stands for w, g, state, learning_rate.
    try:
        signature.bind(None, None, None, None, **options)
    except TypeError as error:  # such as "got an unexpected keyword argument 'momentum'"
        raise ValueError(
            f"train {error}; besides its own options there are those of {optimizer!r}, {signature}"
        ) from None
    for name, value in options.items():
        if optimizer in OPTIMIZERS and name != "eps":
            _require(0 <= value < 1, f"{name} must be in [0, 1), got {value}")
    return update


def _count_steps(N, num_iters, epochs, batch_size):
    """The number of steps in all, and in an epoch."""
    _require(batch_size >= 1, f"{batch_size = } must be at least 1")
    _require(num_iters is None or epochs is None, "give num_iters or epochs, not both")
    if epochs is not None:
        _require(epochs >= 1, f"{epochs = } must be at least 1")
        epoch_steps = math.ceil(N / batch_size)
        return epochs * epoch_steps, epoch_steps
    if num_iters is None:
        num_iters = 100
    _require(num_iters >= 1, f"{num_iters = } must be at least 1")
    return num_iters, max(N // batch_size, 1)


def _write_npz(path, arrays):
    """np.savez, but the file at `path` stays as it is until the new one is whole."""
    # The name is unique, as two programs may write to the same path.
    part = pathlib.Path(f"{path}.{uuid.uuid4().hex}.part")
    try:
        with part.open("xb") as file:
            np.savez(file, **arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)  # it is still there if writing failed


def _read_npz(path):
    """The arrays in a .npz file, by name."""
    with open(path, "rb") as file:  # not inside `try`: a missing file is a FileNotFoundError
        try:
            with np.load(file, allow_pickle=False) as data:
                return dict(data)
        except Exception as error:
            raise ValueError(f"{path} is damaged or no .npz file: {error}") from error
