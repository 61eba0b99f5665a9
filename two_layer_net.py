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
import os
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
    # The same as 1 / (1 + exp(-Z)), but exp(-Z) would overflow where Z is far below 0.
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


def softmax(S):
    """Probabilities of scores: p_j = exp(s_j) / sum_k exp(s_k) in each row.

    S: (N, C). Returns P, of the same shape, whose rows sum to 1.
    """
    # Subtracting a row's largest score leaves its p_j as they are, and no exp can overflow.
    E = np.exp(S - np.max(S, axis=-1, keepdims=True))
    return E / E.sum(axis=-1, keepdims=True)


def cross_entropy(S, y):
    """The loss L, the mean of -log p_y over the rows, and dS, its derivative by the scores S."""
    N, C = S.shape
    Y = np.eye(C, dtype=S.dtype)[y]  # one-hot: row y of the unit matrix for each label y
    # log p_j = s_j - log(sum_k exp(s_k)) is finite also where p_j itself would round to 0.
    shifted = S - S.max(axis=1, keepdims=True)
    log_P = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -np.mean(log_P[np.arange(N), y])

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

    # Each p_j depends on all scores of its row: dp_j/ds_k = p_j ([j = k] - p_k), where [j = k] is
    # 1 if j = k and else 0. By the chain rule
    #     dS_k = sum_j dP_j p_j ([j = k] - p_k)
    #          = dP_k p_k - p_k sum_j dP_j p_j
    #          = p_k (dP_k - sum_j dP_j p_j).
    dP = 2 * (P - Y) / (N * C)
    dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
    return loss, dS


CRITERIA = {"softmax": cross_entropy, "mse": mean_squared_error}


# ---- Update rules. Each changes the parameter w in place; g is the derivative of the loss by w.
# `state` is a dict, one for each parameter and empty at first, in which a rule keeps what it needs
# in the next step: arrays, or Python's numbers.


def sgd(w, g, state, learning_rate):
    w -= learning_rate * g


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
        if min(input_size, hidden_size, output_size) < 1:
            sizes = f"{input_size}, {hidden_size}, {output_size}"
            raise ValueError(f"the three sizes must be at least 1, got {sizes}")
        _check_choice("activation", activation, ACTIVATIONS)
        _check_choice("criterion", criterion, CRITERIA)
        if not 0 <= leak <= 1:
            raise ValueError(f"leak must be from 0 to 1, got {leak}")
        if not 0 <= dropout < 1:
            hint = "it is the share of units that is dropped, 1 - keep_prob"
            raise ValueError(f"dropout must be in [0, 1), got {dropout}; {hint}")
        dtype = np.dtype(dtype)
        if dtype.name not in ("float32", "float64"):
            raise ValueError(f"dtype must be np.float64 or np.float32, got {dtype}")
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = output_size
        self.activation = activation
        # A Python float, because an np.float64 would turn float32 arrays into float64.
        self.leak = float(leak)
        self.dropout = dropout
        self.criterion = criterion
        self.dtype = dtype
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
            # Draw nothing, so that `load`, which uses "zeros", leaves numpy's generator as it was.
            return np.zeros((fan_in, fan_out), self.dtype)
        W = std * self._generator().standard_normal((fan_in, fan_out))
        return W.astype(self.dtype)

    def _generator(self):
        """What draws random numbers: the net's own Generator or numpy's global one."""
        if self.rng is None:
            return np.random
        return self.rng

    def _parameters(self):
        """W1, b1, W2, b2, converted to the net's dtype if arrays of another were assigned."""
        names = ("W1", "b1", "W2", "b2")
        return [np.asarray(self.params[name], self.dtype) for name in names]

    def loss(self, X, y=None, reg=0.0, *, rng=None):
        """The scores of X or, given labels, the loss and its gradients.

        X: (N, D), or (N, ...) with D numbers a row; any real dtype. y: (N,) integers in 0..C-1.
        reg: strength of the penalty reg * (sum(W1**2) + sum(W2**2)).
        rng: int or Generator that draws the dropout mask of this call, instead of the net's own.

        Returns scores (N, C), with nothing dropped, if y is None; otherwise (loss, grads), a float
        and a dict keyed and shaped like `params`. Raises ValueError for X or y that do not fit.
        """
        X = self._check_X(X)
        reg = float(reg)  # see `leak` in __init__
        # An overflow is visible as inf or nan in the result, so numpy need not warn as well.
        with np.errstate(over="ignore", invalid="ignore"):
            if y is None:
                _, _, S = self._forward(X, M=1)
                return S
            y = self._check_y(y, len(X))
            M = self._dropout_mask(len(X), rng)
            F, A, S = self._forward(X, M)
            loss, dS = CRITERIA[self.criterion](S, y)
            loss = float(loss) + self._penalty(reg)
            grads = self._backward(X, M, F, A, dS, reg)
        if not math.isfinite(loss):
            # If X has NaN or infinite values, raise ValueError, else return the loss as it is.
            # X is not checked in every call, because that takes time.
            _check_finite("X", X)
        return loss, grads

    def _dropout_mask(self, N, rng):
        """M (N, H), 0 where a hidden unit is dropped, else 1 / (1 - dropout); 1 without dropout."""
        if self.dropout == 0:
            return 1
        rng = self._generator() if rng is None else np.random.default_rng(rng)
        kept = rng.random((N, self.hidden_size)) >= self.dropout
        return (kept / (1 - self.dropout)).astype(self.dtype)

    def _forward(self, X, M):
        """F (N, H), the hidden units A (N, H) and the scores S (N, C) of X (N, D)."""
        W1, b1, W2, b2 = self._parameters()
        f, _ = ACTIVATIONS[self.activation]
        Z = X @ W1
        Z += b1
        F = f(Z, self.leak)
        A = F * M
        S = A @ W2 + b2
        return F, A, S

    def _backward(self, X, M, F, A, dS, reg):
        """The gradients, with the keys and shapes of `params`."""
        W1, b1, W2, b2 = self._parameters()
        _, slope = ACTIVATIONS[self.activation]
        dW2 = A.T @ dS
        dW2 += 2 * reg * W2
        db2 = dS.sum(axis=0).reshape(b2.shape)  # (C,), or (1, C) as some courses have it
        dA = dS @ W2.T
        dZ = dA * M * slope(F, self.leak)
        dW1 = X.T @ dZ
        dW1 += 2 * reg * W1
        db1 = dZ.sum(axis=0).reshape(b1.shape)
        return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

    def _penalty(self, reg):
        """reg (sum(W1^2) + sum(W2^2)), a float; vdot(W, W) is the sum of the squares."""
        W1, _, W2, _ = self._parameters()
        return reg * float(np.vdot(W1, W1) + np.vdot(W2, W2))

    def _scores(self, X):
        """The scores of X, or an error if they are not finite."""
        # Without y, `loss` gives scores. Not _forward, as a subclass may override `loss`.
        S = self.loss(X)
        if not np.isfinite(S).all():
            _check_finite("X", np.asarray(X))
            _check_overflow("a score", S)
        return S

    def predict(self, X):
        """Labels (N,) of X, (N, D) or (N, ...): the class with the highest score."""
        return self._scores(X).argmax(axis=1)

    def accuracy(self, X, y):
        """The share, 0 to 1, of the rows of X whose predicted label is the one in y (N,)."""
        predicted = self.predict(X)
        return float(np.mean(predicted == self._check_y(y, len(predicted))))

    def evaluate(self, X, y):
        """The loss of X, y (of the data alone: no penalty, no dropout) and the accuracy, 0 to 1.

        `train` takes its validation figures from here. A subclass whose `loss` computes another
        loss should override `evaluate` as well.
        """
        S = self._scores(X)
        y = self._check_y(y, len(S))
        loss, _ = CRITERIA[self.criterion](S, y)
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
            replacement. An epoch is N // batch_size steps; as in the assignment of Stanford's
            course cs231n, the very first step counts as the end of an epoch, too.
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
            parameters, bit for bit, as without the interruption.
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
        _check_numbers(learning_rate, learning_rate_decay, reg, num_iters, epochs, batch_size)
        if resume and checkpoint is None:
            raise ValueError("resume=True needs checkpoint, the file to continue from")
        update = _update_rule(optimizer, options)
        row_shape = np.shape(X)[1:]  # for `augment`; the next line flattens the rows
        X, y = self._check_data(X, y, "X", "y")
        X_val, y_val = self._check_data(X_val, y_val, "X_val", "y_val")
        self._check_params()

        # Prepare what the loop below reads and changes.
        steps, epoch_steps = _count_steps(len(X), num_iters, epochs, batch_size)
        rng = self._generator()
        self.history = {name: [] for name in HISTORY}
        states = {"W1": {}, "b1": {}, "W2": {}, "b2": {}}  # the update rule's, of each
        # The parameters to end with: the best so far with keep_best. Empty means: keep the last.
        params_at_end = {}
        stopped = False  # becomes True when the callback returns True
        if checkpoint is not None:
            # Lines that say what net, data and options the checkpoint is of: they must be the same
            # when training is resumed. `_resume` sets the generator, and fills params, history,
            # states and params_at_end.
            settings = self._describe(X, y, X_val, y_val)
            settings += [f"learning_rate {_text_of(learning_rate)}"]
            settings += [f"learning_rate_decay {learning_rate_decay}", f"reg {reg}"]
            settings += [f"batch_size {batch_size}", f"epochs given: {epochs is not None}"]
            settings += [f"optimizer {_text_of(optimizer)}", f"options {options}"]
            settings += [f"augment {_text_of(augment)}", f"keep_best {keep_best}"]
            if resume and os.path.exists(checkpoint):
                stopped = self._resume(checkpoint, settings, states, params_at_end)
            self._write_checkpoint(checkpoint, settings, states, params_at_end, stopped)
        steps_done = len(self.history["loss_history"])  # above 0 after a resume
        best_acc = max(self.history["val_acc_history"], default=-1)
        params_before = copy.deepcopy(self.params)

        try:
            for it in range(steps_done, steps):
                if stopped:
                    break
                epochs_done = len(self.history["step_history"])
                rate = _rate(learning_rate, it / steps, learning_rate_decay, epochs_done)

                # Draw the rows of the batch.
                if epochs is None:
                    rows = rng.choice(len(X), batch_size)
                    epoch_ends = it % epoch_steps == 0  # at step 0, too: see num_iters
                else:
                    i = it % epoch_steps
                    if i == 0:  # right after a resume, too: checkpoints are of whole epochs
                        order = rng.permutation(len(X))
                    rows = order[i * batch_size : (i + 1) * batch_size]
                    epoch_ends = i == epoch_steps - 1
                X_batch = X[rows]
                if augment is not None:
                    X_batch = augment(X_batch.reshape(-1, *row_shape), rng)

                # Take a step: move all parameters against their gradients.
                loss, grads = self.loss(X_batch, y[rows], reg)
                _check_overflow("the loss", loss)
                self.history["loss_history"].append(loss)
                for name, w in self.params.items():
                    update(w, grads[name], states[name], rate, **options)
                if verbose and epochs is None and it % 100 == 0:
                    print(f"iteration {it} / {steps}: loss {loss:f}")

                # Validate at the end of each epoch, and of training.
                if epoch_ends or it + 1 == steps:
                    val_loss, val_acc = self.evaluate(X_val, y_val)
                    _check_overflow("the validation loss", val_loss)
                    if keep_best and val_acc > best_acc:
                        best_acc = val_acc
                        params_at_end.update(copy.deepcopy(self.params))
                if epoch_ends:
                    # slice(n) means :n, the first n rows
                    sample = rows if epochs is None else slice(len(X_val))
                    train_acc = self.accuracy(X[sample], y[sample])
                    self._record_epoch(train_acc, val_acc, val_loss, self._penalty(reg), rate)
                    if verbose and epochs is not None:
                        self._print_epoch(epochs)
                    if callback is not None:
                        stopped = _is_true(callback(self, self.history))
                    if checkpoint is not None:
                        self._write_checkpoint(checkpoint, settings, states, params_at_end, stopped)
        except FloatingPointError as error:
            params_at_end = params_before  # `finally` puts them back
            raise FloatingPointError(f"step {it} of {steps}, rate {rate:g}: {error}") from None
        finally:  # in every case, also after Ctrl-C; an empty params_at_end changes nothing
            self._set_params(params_at_end)
        self._warn_if_nothing_was_learned(y, reg)
        return self.history

    def _record_epoch(self, train_acc, val_acc, val_loss, penalty, rate):
        self.history["train_acc_history"].append(train_acc)
        self.history["val_acc_history"].append(val_acc)
        self.history["val_loss_history"].append(val_loss)
        self.history["penalty_history"].append(penalty)
        self.history["learning_rate_history"].append(rate)
        self.history["step_history"].append(len(self.history["loss_history"]))

    def _print_epoch(self, epochs):
        done = len(self.history["step_history"])
        last = {name: values[-1] for name, values in self.history.items()}
        accuracies = (
            f"train acc {last['train_acc_history']:.4f}, val acc {last['val_acc_history']:.4f}"
        )
        print(f"epoch {done} / {epochs}: loss {last['loss_history']:f}, {accuracies}")

    def _set_params(self, params):
        """Copy the numbers in `params` into the net's own arrays."""
        for name, w in params.items():
            self.params[name][...] = w

    def _warn_if_nothing_was_learned(self, y, reg):
        """Warn if the loss ended well above where it began, or if it is still that of guessing."""
        losses = self.history["loss_history"]
        if len(losses) < 50:
            return  # too short to tell
        began = losses[0]
        tenth = len(losses) // 10
        ended = np.mean(losses[-tenth:])
        # A net that guesses ignores X and gives each class its share of the labels as probability.
        # Such a P is the softmax of the scores log(share); 1e-9 avoids log(0).
        shares = np.bincount(y, minlength=self.output_size) / len(y)
        S = np.tile(np.log(shares + 1e-9), (len(y), 1))
        guessing, _ = CRITERIA[self.criterion](S, y)
        data_loss = ended - self._penalty(reg)
        if ended > 2 * began and ended > guessing:
            advice = "a smaller learning rate, std='he', or X nearer to 0 (pixels / 255)"
        elif abs(data_loss - guessing) < 0.01 * guessing:
            advice = "std='he', a higher rate, optimizer='momentum' or more steps"
        else:
            return
        seen = f"the loss went from {began:.6g} to {ended:.6g}; guessing has {guessing:.6g}"
        # stacklevel 3: the warning names the line that called `train`
        warnings.warn(f"nothing was learned: {seen}. Try {advice}", stacklevel=3)

    # ---- What students do wrong gets an error that says what to do.

    def _check_X(self, X, name="X"):
        """X as rows (N, D) in the net's dtype; copied only if it is not so already."""
        X = np.asarray(X)
        D = self.input_size
        # X[:1] is the first row. Of an empty X it has size 0, so that is an error, too.
        if X.ndim == 0 or X[:1].size != D:
            hint = "give one row as x[None], a new image as data.transform(image)"
            raise ValueError(f"{name} must be (N, {D}), got {X.shape}; {hint}")
        X = X.reshape(len(X), D)
        # With other memory layouts each product would be slower or make a copy.
        return np.require(X, self.dtype, ["C_CONTIGUOUS", "ALIGNED"])

    def _check_y(self, y, N, name="y"):
        """y as an array (N,) of integers 0..C-1."""
        y = np.asarray(y)
        C = self.output_size
        if y.shape != (N,):
            fix = f"use {name}.ravel() for (N, 1), {name}.argmax(axis=1) for one-hot rows"
            raise ValueError(f"{name} must have shape ({N},), got {y.shape}; {fix}")
        if y.dtype.kind not in "iu":
            fix = f"{name}.astype(int), for names np.unique({name}, return_inverse=True)[1]"
            raise ValueError(f"{name} must hold integers, got {y.dtype}; use {fix}")
        if y.min() < 0 or y.max() >= C:
            hint = "the first label is 0, and output_size is the number of classes"
            found = f"{y.min()}..{y.max()}"
            raise ValueError(f"{name} must be in 0..{C - 1}, got {found}; {hint}")
        # Contiguous, as zlib.crc32, which checkpoints use, needs it.
        return np.ascontiguousarray(y)

    def _check_data(self, X, y, X_name, y_name):
        X = self._check_X(X, X_name)
        y = self._check_y(y, len(X), y_name)
        _check_finite(X_name, X)
        return X, y

    def _check_params(self):
        """See that the parameters are arrays of the net's dtype, and finite."""
        names = ("W1", "b1", "W2", "b2")
        for name, w in zip(names, self._parameters(), strict=True):
            _check_finite(name, w)
            # The same array as before, unless a list or another dtype was assigned.
            self.params[name] = w

    # ---- Files. This part can be skipped on a first reading.

    def save(self, path):
        """Write parameters and options (not rng) to the file `path`, for load or np.load (.npz)."""
        _write_npz(path, self._contents())

    def _contents(self):
        """The options and parameters that a file holds, by name."""
        contents = {
            "activation": self.activation,
            "leak": self.leak,
            "dropout": self.dropout,
            "criterion": self.criterion,
        }
        contents.update(self.params)
        return contents

    @classmethod
    def load(cls, path):
        """A new net, with rng=None, from a file of `save`: net = TwoLayerNet.load(path).

        Reads checkpoints of `train`, too, and files of W1, b1, W2 and b2 alone, whose nets get the
        class's default options. Raises ValueError naming a file that is damaged or does not fit.
        """
        arrays = _read_npz(path)
        try:
            D, H = arrays["W1"].shape
            C = arrays["b2"].size
            # The smallest dtype that holds both: float32 for float32, float64 for float64.
            options = {"dtype": np.promote_types(arrays["W1"].dtype, np.float32)}
            for name in ("activation", "leak", "dropout", "criterion"):
                if name in arrays:
                    options[name] = arrays[name].item()
            net = cls(D, H, C, "zeros", **options)
            for name, w in net.params.items():
                found = arrays[name]
                if name in ("b1", "b2"):
                    found = found.ravel()  # they may have been (1, H) and (1, C)
                if found.shape != w.shape:
                    raise ValueError(f"{name} has shape {found.shape}, not {w.shape}")
                w[...] = found
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not hold a net that fits: {error}") from error
        return net

    def _describe(self, X, y, X_val, y_val):
        """A line for each thing of net and data that must be the same to resume a training."""
        return [
            f"input_size {self.input_size}",
            f"hidden_size {self.hidden_size}",
            f"output_size {self.output_size}",
            f"activation {self.activation}",
            f"leak {self.leak}",
            f"dropout {self.dropout}",
            f"criterion {self.criterion}",
            f"dtype {self.dtype}",
            f"generator {self._generator_state()['bit_generator']}",
            f"checksum of X {zlib.crc32(X)}",
            f"checksum of y {zlib.crc32(y)}",
            f"checksum of X_val {zlib.crc32(X_val)}",
            f"checksum of y_val {zlib.crc32(y_val)}",
        ]

    def _generator_state(self):
        if self.rng is None:
            return np.random.get_state(legacy=False)
        return self.rng.bit_generator.state

    def _write_checkpoint(self, path, settings, states, params_at_end, stopped):
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
        for name, state in states.items():
            for key, value in state.items():
                arrays[f"state {name} {key}"] = value
        for name, w in params_at_end.items():
            arrays[f"best {name}"] = w
        _write_npz(path, arrays)

    def _resume(self, path, settings, states, params_at_end):
        """Take all from a checkpoint; return whether the callback had ended that training."""
        arrays = _read_npz(path)
        if "training" not in arrays:
            raise ValueError(f"{path} is no checkpoint of train; give another file")
        training = json.loads(arrays["training"].item())
        for then, now in zip(training["settings"], settings, strict=True):
            if then != now:
                fix = "give the same, another checkpoint, or resume=False to begin anew"
                raise ValueError(f"{path} is of a training with {then}, not {now}; {fix}")
        if self.rng is None:
            np.random.set_state(training["generator"])
        else:
            self.rng.bit_generator.state = training["generator"]
        self.history.update(training["history"])
        for name, w in self.params.items():
            w[...] = arrays[name]
        for entry, value in arrays.items():  # such as "W1", "best W1", "state W1 v"
            kind, _, name = entry.partition(" ")
            if kind == "best":
                params_at_end[name] = value
            if kind == "state":
                name, _, key = name.partition(" ")
                if value.ndim == 0:
                    value = value.item()  # a number, such as Adam's t
                states[name][key] = value
        return training["stopped"]


# ---- Helpers of the class


def _text_of(value):
    """The value itself, but "a function" for any function: two functions cannot be compared."""
    if callable(value):
        return "a function"
    return value


def _is_true(answer):
    """Whether a callback's answer ends training: only True does, not 1 or another number.

    So a callback may be a lambda that calls file.write("."), which returns a number.
    """
    return answer is True or answer is np.True_


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}")


def _check_finite(name, array):
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has NaN or infinite values")


def _check_overflow(name, value):
    if not np.isfinite(value).all():
        advice = "try a smaller rate or std, or X nearer to 0 (pixels / 255)"
        raise FloatingPointError(f"{name} is not finite: {advice}")


def _check_numbers(learning_rate, learning_rate_decay, reg, num_iters, epochs, batch_size):
    # "not x > 0" is true of nan as well
    if not callable(learning_rate) and not learning_rate > 0:
        raise ValueError(f"learning_rate must be > 0, got {learning_rate}")
    if not 0 < learning_rate_decay <= 1:
        raise ValueError(f"learning_rate_decay must be in (0, 1], got {learning_rate_decay}")
    if not reg >= 0:
        raise ValueError(f"reg must be >= 0, got {reg}")
    if num_iters is not None and epochs is not None:
        raise ValueError("give num_iters or epochs, not both")
    counts = {"num_iters": num_iters, "epochs": epochs, "batch_size": batch_size}
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")


def _update_rule(optimizer, options):
    """The function that is meant by `optimizer`."""
    if callable(optimizer):
        return optimizer
    _check_choice("optimizer", optimizer, OPTIMIZERS)
    update = OPTIMIZERS[optimizer]
    signature = inspect.signature(update)
    for name, value in options.items():
        if name not in signature.parameters:
            raise ValueError(f"{name!r} is no option of train or {optimizer!r}, {signature}")
        # momentum, rho, beta1 and beta2 say what share of the past a rule keeps; eps is no share.
        if name != "eps" and not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}")
    return update


def _rate(learning_rate, progress, decay, epochs_done):
    """The learning rate of a step."""
    if callable(learning_rate):
        return float(learning_rate(progress))
    return float(learning_rate * decay**epochs_done)


def _count_steps(N, num_iters, epochs, batch_size):
    """The number of steps in all, and in an epoch."""
    if epochs is None:
        steps = 100 if num_iters is None else num_iters
        return steps, max(N // batch_size, 1)
    epoch_steps = math.ceil(N / batch_size)
    return epochs * epoch_steps, epoch_steps


def _write_npz(path, arrays):
    """np.savez, but the file at `path` stays as it is until the new one is whole."""
    part = f"{path}.{uuid.uuid4().hex}.part"
    try:
        with open(part, "xb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def _read_npz(path):
    """The arrays in a .npz file, by name."""
    with open(path, "rb") as file:  # not inside `try`: a missing file is a FileNotFoundError
        try:
            with np.load(file, allow_pickle=False) as data:
                return dict(data)
        except Exception as error:
            raise ValueError(f"{path} is damaged or no .npz file: {error}") from error
