"""The training of a two-layer net in each library, as its users write it.

train_step.py and time_to_accuracy.py time these functions. Each makes a net with a hidden layer of
ReLUs, in float32, trains it by `task` and keeps the losses. It stops when task.ended(predict) is
True, where predict(X) gives the labels of rows X. This is asked after each epoch; PyTorch and JAX
ask it before the first one, too. A process imports only the library that it times.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from two_layer_net import TwoLayerNet

CLASSES = 10
REG = 3e-5  # the penalty is this times the sum of the squared weights
MOMENTUM = {"sgd": 0, "momentum": 0.9}


@dataclass
class Task:
    X: np.ndarray
    y: np.ndarray
    hidden_size: int
    batch_size: int  # len(X) is a multiple of it
    optimizer: str  # "sgd" or "momentum"
    rate: float  # in the first epoch
    decay: float  # multiplies the rate after each epoch
    seed: int
    ended: Callable

    def net(self):
        D = self.X.shape[1]
        return TwoLayerNet(D, self.hidden_size, CLASSES, "he", dtype=np.float32, rng=self.seed)


def ours(task):
    def callback(net, history):
        return task.ended(net.predict)

    task.net().train(
        task.X,
        task.y,
        task.X[:100],  # to validate on
        task.y[:100],
        task.rate,
        task.decay,
        REG,
        epochs=10**6,
        batch_size=task.batch_size,
        optimizer=task.optimizer,
        callback=callback,
    )


def pytorch(task, with_loader):
    """Take batches from a DataLoader, or else rows of the tensors."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(task.seed)
    X = torch.from_numpy(task.X)
    y = torch.from_numpy(task.y)
    hidden = torch.nn.Linear(X.shape[1], task.hidden_size)
    output = torch.nn.Linear(task.hidden_size, CLASSES)
    net = torch.nn.Sequential(hidden, torch.nn.ReLU(), output)
    criterion = torch.nn.CrossEntropyLoss()
    momentum = MOMENTUM[task.optimizer]
    # Half of weight_decay times the squares is the penalty.
    optimizer = torch.optim.SGD(net.parameters(), task.rate, momentum, weight_decay=2 * REG)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, task.decay)

    def predict(X):
        return net(torch.from_numpy(X)).argmax(dim=1).numpy()

    batches = DataLoader(TensorDataset(X, y), task.batch_size, shuffle=True)
    losses = []
    while not task.ended(predict):
        if not with_loader:
            order = torch.randperm(len(X)).split(task.batch_size)
            batches = ((X[rows], y[rows]) for rows in order)
        for X_batch, y_batch in batches:
            optimizer.zero_grad()
            loss = criterion(net(X_batch), y_batch)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()


def scikit_learn(task):
    import sklearn
    from sklearn.neural_network import MLPClassifier

    sklearn.set_config(assume_finite=True)  # do not search X for NaN in each epoch
    # This is Adam, in batches of 200. With momentum the rate cannot decay, and learning is worse.
    net = MLPClassifier((task.hidden_size,), learning_rate_init=0.002, random_state=task.seed)
    if task.optimizer == "sgd":
        net.set_params(
            solver="sgd",
            momentum=0,
            batch_size=task.batch_size,
            alpha=2 * REG * task.batch_size,  # it divides this by twice the batch
        )
    net.partial_fit(task.X, task.y, classes=range(CLASSES))  # before this it cannot predict
    while not task.ended(net.predict):
        net.partial_fit(task.X, task.y)


def jax_net(task, scan):
    """Call a jitted step again and again or, with scan, a jitted epoch."""
    import jax

    def scores(params, X):
        W1, b1, W2, b2 = params
        return jax.nn.relu(X @ W1 + b1) @ W2 + b2

    def loss(params, X, y):
        W1, _, W2, _ = params
        log_P = jax.nn.log_softmax(scores(params, X))
        Y = jax.nn.one_hot(y, CLASSES)
        return REG * ((W1**2).sum() + (W2**2).sum()) - (Y * log_P).sum() / len(y)

    def step(X, y, rate, state, rows):
        params, velocity = state
        value, grads = jax.value_and_grad(loss)(params, X[rows], y[rows])
        changes = [-rate * g for g in grads]
        if task.optimizer == "momentum":
            velocity = [0.9 * v + c for v, c in zip(velocity, changes, strict=True)]
            changes = velocity
        params = [w + c for w, c in zip(params, changes, strict=True)]
        return (params, velocity), value

    def scan_epoch(X, y, rate, state, order):
        return jax.lax.scan(partial(step, X, y, rate), state, order)

    def predict(X):
        params, _ = state
        return scores(params, X).argmax(axis=1)

    # donate_argnums=3 lets the new state overwrite the old one.
    jitted_step = jax.jit(step, donate_argnums=3)
    jitted_epoch = jax.jit(scan_epoch, donate_argnums=3)
    X = jax.numpy.asarray(task.X)
    y = jax.numpy.asarray(task.y)
    rate = task.rate
    params = list(task.net().params.values())
    state = params, [np.zeros_like(w) for w in params]
    rng = np.random.default_rng(task.seed)
    losses = []
    while not task.ended(predict):
        order = rng.permutation(len(X)).reshape(-1, task.batch_size)
        if scan:
            state, values = jitted_epoch(X, y, rate, state, order)
            losses.append(values)
        else:
            for rows in order:
                state, value = jitted_step(X, y, rate, state, rows)
                losses.append(value)
        rate *= task.decay
        jax.block_until_ready(state)  # until then it computes in the background


CONTENDERS = {
    "ours": ours,
    "pytorch": partial(pytorch, with_loader=False),
    "pytorch DataLoader": partial(pytorch, with_loader=True),
    "scikit-learn": scikit_learn,
    "jax": partial(jax_net, scan=False),
    "jax scan": partial(jax_net, scan=True),
}
