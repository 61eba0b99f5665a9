"""Seconds and best accuracy of a sweep: tune.py and scikit-learn's searches.

    python -m pip install -r requirements-bench.txt
    python benchmarks/sweep.py  # three minutes of an idle machine with two cores

All try the same 27 nets on mnist5k, with momentum 0.9, 27 epochs at most and batches of 50, in two
processes of one BLAS thread each, where no other number is said, and judge them by the same
validation rows. What is timed is the whole command, from the start of Python to its end. The
commands take turns, and the median of the rounds counts. The commands are

    tune.py: with two workers, with one, and with successive halving.
    GridSearchCV, HalvingGridSearchCV: scikit-learn's searches, over its MLPClassifier.

The rate of an MLPClassifier is constant, while ours decays by 0.95 an epoch. Halving keeps the best
third after 1, 3 and 9 epochs; with "--halving 2" the best half after 2, 4, 7 and 14. tune.py goes
on with the nets that it keeps, scikit-learn trains them from the start again, and its best may be
one that was not kept. Writes sweep.md.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.neural_network import MLPClassifier

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from machine import machine

from data_utils import load_dataset
from tune import load_sweep

# The nets, in the words of tune.py.
NETS = "--hidden 32 64 128 --lr 0.01 0.03 0.1 --reg 1e-5 1e-4 1e-3 --epochs 27 --batch-size 50"
EPOCHS = 27
# The same for scikit-learn. Its penalty is alpha / (2 * 50) times the squares, 50 being the batch,
# and ours is reg times the squares: alpha is 100 * reg.
LISTS = {
    "hidden_layer_sizes": (32, 64, 128),
    "learning_rate_init": (0.01, 0.03, 0.1),
    "alpha": (1e-3, 1e-2, 1e-1),
}
ROUNDS = 3


# ---- The searches. Each returns the best validation accuracy, from 0 to 1.


def grid(search_class=GridSearchCV, **options):
    """A search of scikit-learn; `options` are those that only this one has."""
    net = MLPClassifier(
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=False,
        batch_size=50,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS,  # so that it does not stop before the last epoch
        random_state=0,
    )
    data = load_dataset("mnist5k")
    X = np.concatenate([data.X_train, data.X_val])
    y = np.concatenate([data.y_train, data.y_val])
    # The only fold: of the 4000 rows the first 3200 are to train on, and the others judge.
    fold = np.split(np.arange(4000), [3200])
    search = search_class(net, LISTS, cv=[fold], n_jobs=2, refit=False, **options)
    search.fit(X, y)
    return search.cv_results_["mean_test_score"].max()


def halving_grid():
    return grid(HalvingGridSearchCV, resource="max_iter", max_resources=EPOCHS)


# ---- The commands: tune.py with these options, and this program with the name of a search

TUNE = (
    "tune.py --workers 2",
    "tune.py --workers 1",
    "tune.py --workers 2 --halving",
    "tune.py --workers 2 --halving 2",
)
SEARCHES = {
    "GridSearchCV": grid,
    "HalvingGridSearchCV": halving_grid,
}


def measure(name):
    """Seconds of the whole command, and the best validation accuracy that it found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [__file__, name]
        if name in TUNE:
            command = f"{name} {NETS} --out {folder}".split()
        start = time.perf_counter()
        output = subprocess.check_output([sys.executable, *command], cwd=PROJECT)
        seconds = time.perf_counter() - start
        if name in TUNE:
            return seconds, load_sweep(folder)[0]["val_acc"]
        return seconds, float(output)


def main():
    # The last is for scikit-learn, which warns that training did not converge.
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore")
    found = {name: [] for name in TUNE + tuple(SEARCHES)}
    for _ in range(ROUNDS):
        for name, runs in found.items():
            runs.append(measure(name))
            print(name, runs[-1])
    text = (
        "# A sweep of 27 nets\n\n"
        "| command | seconds | GridSearchCV takes | best validation |\n"
        "| --- | --- | --- | --- |\n"
    )
    grid_seconds, _ = np.median(found["GridSearchCV"], axis=0)
    for name, runs in found.items():
        seconds, best = np.median(runs, axis=0)
        text += f"| {name} | {seconds:.1f} | {grid_seconds / seconds:.2f} times as long "
        text += f"| {best:.2%} |\n"
    text += f"\nOn mnist5k, with {NETS}; median of {ROUNDS} rounds; "
    text += f"{machine('scikit-learn')}.\n"
    (PROJECT / "benchmarks/sweep.md").write_text(text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(SEARCHES[sys.argv[1]]())
    else:
        main()
