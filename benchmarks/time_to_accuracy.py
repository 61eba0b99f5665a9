"""Seconds from the first import until a share of the test images is right.

    python -m pip install -r requirements-bench.txt
    python benchmarks/time_to_accuracy.py [SEEDS]  # 3; ten minutes of an idle machine

The share is 98 % of MNIST's and 87 % of Fashion-MNIST's. All train 784-100-10, each library as its
users write it: this class; PyTorch with its tensors in memory, and with a DataLoader; JAX with a
jitted epoch, whose compiling counts; scikit-learn's MLPClassifier. All but the last have the same
settings: batches of 100, momentum 0.9, and a learning rate of 0.2, for Fashion-MNIST 0.1, times 0.7
after each epoch. MLPClassifier, which cannot let it decay so, uses Adam with a rate of 0.002 in
batches of 200. A contender that has not reached the goal in 20 epochs has lost.

The seconds count the imports and the reading of the data, which is the same for all, but not the
scoring after each epoch. The median of the seeds, for one thread and for two, goes to
time_to_accuracy.md.
"""

import time

START = time.perf_counter()  # each contender's process begins here

import sys
import warnings
from pathlib import Path

import numpy as np
from contenders import CONTENDERS, Task

from data_utils import load_dataset

GOAL = {"mnist": 0.98, "fashion_mnist": 0.87}
RATE = {"mnist": 0.2, "fashion_mnist": 0.1}
DECAY = 0.7
EPOCHS = 20  # at most
NAMES = ("ours", "pytorch", "pytorch DataLoader", "jax scan", "scikit-learn")


def seconds(name, dataset, seed):
    """Train in this process; infinity if the goal is not reached, NaN without the library."""
    data = load_dataset(dataset, validation=1000)
    scoring = []  # seconds
    found = np.inf

    def ended(predict):
        nonlocal found
        now = time.perf_counter()
        if np.mean(predict(data.X_test) == data.y_test) >= GOAL[dataset]:
            found = now - START - sum(scoring)
        scoring.append(time.perf_counter() - now)
        return found < np.inf or len(scoring) > EPOCHS

    warnings.simplefilter("ignore")  # scikit-learn's, that training did not converge
    X = data.X_train
    y = data.y_train
    rate = RATE[dataset]
    try:
        CONTENDERS[name](Task(X, y, 100, 100, "momentum", rate, DECAY, seed, ended))
    except ImportError:
        return np.nan
    return found


def main(seeds):
    import pandas as pd
    from machine import in_new_process, machine, use_cores

    found = []
    for dataset in GOAL:
        for threads in (1, 2):
            use_cores(threads)
            for name in NAMES:
                for seed in range(seeds):
                    answer = in_new_process(seconds, name, dataset, seed)
                    found.append((f"{dataset}, threads: {threads}", name, answer))
                    print(found[-1], flush=True)
    frame = pd.DataFrame(found, columns=["setting", "contender", "seconds"])
    groups = frame.groupby(["setting", "contender"], sort=False)
    table = groups["seconds"].median().unstack(sort=False)
    cells = table.map("{:.1f}".format)
    cells = cells.replace({"inf": "not reached", "nan": "not installed"})
    text = f"# Time to an accuracy\n\n{cells.to_markdown(disable_numparse=True)}\n\n"
    text += f"Median of {seeds} seeds; {machine('torch', 'scikit-learn', 'jax')}.\n"
    Path(__file__).with_name("time_to_accuracy.md").write_text(text)
    print(text)


if __name__ == "__main__":
    seeds = 3
    if len(sys.argv) == 2:
        seeds = int(sys.argv[1])
    main(seeds)
