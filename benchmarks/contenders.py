"""The training of a two-layer net in each library, as its users write it.

train_step.py and time_to_accuracy.py time these functions. Each makes a net with a hidden layer of
ReLUs, in float32, trains it with momentum 0.9 (scikit-learn also with Adam) and keeps the losses,
as one does to draw them. Its arguments are

    X, y: the rows to train on, (N, D) and (N,); the batch size divides N.
    hidden_size, batch_size, seed
    rate, decay: the learning rate of the first epoch, and what multiplies it after each epoch.
        scikit-learn has no such decay, and takes a rate of 0.002.
    ended: the function ended(predict) that says whether to stop, where predict(X) gives the labels
        of rows X. It is asked before the first epoch and after each, only by scikit-learn, which
        cannot predict before it was trained, not before the first.

A process imports only the library that it times.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from two_layer_net import TwoLayerNet

CLASSES = 10
REG = 3e-5  # the penalty is this times the sum of the squared weights


def our_net(X, hidden_size, seed):
    return TwoLayerNet(X.shape[1], hidden_size, CLASSES, "he", dtype=np.float32, rng=seed)


def ours(X, y, hidden_size, batch_size, rate, decay, seed, ended):
    net = our_net(X, hidden_size, seed)
    ended(net.predict)
    net.train(
        X,
        y,
        X[:100],  # to validate on, as it has to be given; so few take no time
        y[:100],
        rate,
        decay,
        REG,
        epochs=10**6,  # or until the callback returns True
        batch_size=batch_size,
        optimizer="momentum",
        callback=lambda net, history: ended(net.predict),
    )


def pytorch(X, y, hidden_size, batch_size, rate, decay, seed, ended):
    import torch
    from torch import nn

    torch.manual_seed(seed)
    X = torch.from_numpy(X)
    y = torch.from_numpy(y)
    net = nn.Sequential(
        nn.Linear(X.shape[1], hidden_size),
        nn.ReLU(),
        nn.Linear(hidden_size, CLASSES),
    )
    criterion = nn.CrossEntropyLoss()
    # It adds weight_decay * w to the gradient of each w, and 2 * REG * w is that of the penalty.
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=2 * REG)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)

    def predict(X):
        return net(torch.from_numpy(X)).argmax(dim=1).numpy()

    losses = []
    while not ended(predict):
        for rows in torch.randperm(len(X)).split(batch_size):
            optimizer.zero_grad()
            loss = criterion(net(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        schedule.step()


def scikit_learn(X, y, hidden_size, batch_size, rate, decay, seed, ended, solver="sgd"):
    """solver: "sgd" or "adam"."""
    import sklearn
    from sklearn.neural_network import MLPClassifier

    sklearn.set_config(assume_finite=True)  # do not search X for NaN in each epoch
    net = MLPClassifier(
        (hidden_size,),
        solver=solver,
        nesterovs_momentum=False,
        learning_rate_init=0.002,
        batch_size=batch_size,
        alpha=2 * REG * batch_size,  # it divides this by twice the batch
        random_state=np.random.RandomState(seed),  # a number would give all epochs the same order
    )
    net.partial_fit(X, y, classes=range(CLASSES))  # an epoch
    while not ended(net.predict):
        net.partial_fit(X, y)


def jax_net(X, y, hidden_size, batch_size, rate, decay, seed, ended):
    """Each epoch is one call, with all its steps in one jitted scan: its fastest way."""
    import jax

    def scores(params, X):
        A = jax.nn.relu(X @ params["W1"] + params["b1"])
        return A @ params["W2"] + params["b2"]

    def loss(params, X, y):
        log_P = jax.nn.log_softmax(scores(params, X))
        Y = jax.nn.one_hot(y, CLASSES)
        penalty = REG * ((params["W1"] ** 2).sum() + (params["W2"] ** 2).sum())
        return penalty - (Y * log_P).sum() / len(y)

    @partial(jax.jit, donate_argnames="state")  # the new state overwrites the old one
    def epoch(X, y, rate, state, order):
        def step(state, rows):
            params, velocity = state
            value, grads = jax.value_and_grad(loss)(params, X[rows], y[rows])
            velocity = jax.tree.map(lambda v, g: 0.9 * v - rate * g, velocity, grads)
            params = jax.tree.map(jax.numpy.add, params, velocity)
            return (params, velocity), value

        return jax.lax.scan(step, state, order)

    def predict(X):
        params, _ = state
        return scores(params, X).argmax(axis=1)

    params = our_net(X, hidden_size, seed).params
    X = jax.numpy.asarray(X)
    y = jax.numpy.asarray(y)
    state = params, jax.tree.map(np.zeros_like, params)
    rng = np.random.default_rng(seed)
    losses = []
    while not ended(predict):
        order = rng.permutation(len(X)).reshape(-1, batch_size)
        state, values = epoch(X, y, rate, state, order)
        losses.append(values)
        rate *= decay
        jax.block_until_ready(state)  # until then it computes in the background


CONTENDERS = {
    "ours": ours,
    "pytorch": pytorch,
    "jax": jax_net,
    "scikit-learn": scikit_learn,
    "scikit-learn, Adam": partial(scikit_learn, solver="adam"),
}
