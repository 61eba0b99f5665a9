"""Seconds and best accuracy of a sweep: tune.py, scikit-learn's searches, Optuna.

    python -m pip install -r requirements-bench.txt
    python benchmarks/sweep.py [ROUNDS]       # 3; five minutes of an idle machine with two cores

All try the same 27 nets on mnist5k, with momentum 0.9, 27 epochs at most and batches of 50, in two
processes of one BLAS thread each, and judge them by the same validation rows. What is timed is the
whole command, from the start of Python to its end. The commands take turns, and the median of the
rounds counts. The commands are

    tune.py: with two workers, with one, and with successive halving.
    loop: trains one net of the class after another, in one process with all BLAS threads.
    GridSearchCV, HalvingGridSearchCV: scikit-learn's searches, over its MLPClassifier.
    Optuna: draws 27 times, and stops trials that are worse than the median; MLPClassifier, too.

The rate of an MLPClassifier is constant, while ours decays by 0.95 an epoch. Halving keeps the best
third, after 1 epoch at first, or with "--halving 2" half, after 2 epochs; tune.py goes on with the
nets that it keeps, scikit-learn trains them from the start again. Writes sweep.md.
"""

import itertools
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from machine import machine

from data_utils import load_dataset
from tune import load_sweep
from two_layer_net import TwoLayerNet

HIDDEN = (32, 64, 128)
LR = (0.01, 0.03, 0.1)
REG = (1e-5, 1e-4, 1e-3)
EPOCHS = 27
BATCH = 50

data = load_dataset("mnist5k")


# ---- The searches. Each returns the best validation accuracy, from 0 to 1. Other libraries are
# imported inside, so that only their own search has to wait for them.


def loop():
    accuracies = []
    for hidden, lr, reg in itertools.product(HIDDEN, LR, REG):
        net = TwoLayerNet(784, hidden, 10, "he", dtype=np.float32, rng=0)
        history = net.train(
            data.X_train,
            data.y_train,
            data.X_val,
            data.y_val,
            learning_rate=lr,
            reg=reg,
            epochs=EPOCHS,
            batch_size=BATCH,
            optimizer="momentum",
        )
        accuracies.append(history["val_acc_history"][-1])
    return max(accuracies)


def classifier(**options):
    """scikit-learn's net, trained as ours is, up to the last epoch.

    It divides the penalty by twice the batch, so its `alpha` is 2 * BATCH * reg.
    """
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=False,
        batch_size=BATCH,
        max_iter=EPOCHS,
        tol=0,
        n_iter_no_change=EPOCHS,
        random_state=0,
        **options,
    )


def grid(halving=False):
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

    X = np.concatenate([data.X_train, data.X_val])
    y = np.concatenate([data.y_train, data.y_val])
    # The only fold: the numbers of the rows to train on, and of those that judge.
    fold = np.split(np.arange(len(X)), [len(data.X_train)])
    lists = {
        "hidden_layer_sizes": [(hidden,) for hidden in HIDDEN],
        "learning_rate_init": LR,
        "alpha": [2 * BATCH * reg for reg in REG],
    }
    how = {"cv": [fold], "n_jobs": 2, "refit": False}
    if halving:
        how.update(resource="max_iter", max_resources=EPOCHS)
        search = HalvingGridSearchCV(classifier(), lists, **how)
    else:
        search = GridSearchCV(classifier(), lists, **how)
    search.fit(X, y)
    return search.cv_results_["mean_test_score"].max()


def halving_grid():
    return grid(halving=True)


def draw(journal, seed, count):
    """What each of Optuna's two processes does: `count` trials of the study in a file."""
    import optuna

    def objective(trial):
        net = classifier(
            hidden_layer_sizes=(trial.suggest_categorical("hidden", HIDDEN),),
            learning_rate_init=trial.suggest_categorical("lr", LR),
            alpha=2 * BATCH * trial.suggest_categorical("reg", REG),
        )
        for epoch in range(EPOCHS):
            net.partial_fit(data.X_train, data.y_train, classes=range(10))
            accuracy = net.score(data.X_val, data.y_val)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = optuna.storages.journal.JournalFileBackend(journal)
    study = optuna.create_study(
        study_name="sweep",
        storage=optuna.storages.JournalStorage(file),
        load_if_exists=True,  # as the other process may have created it
        sampler=optuna.samplers.RandomSampler(seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2),
        direction="maximize",
    )
    study.optimize(objective, n_trials=count)
    return study.best_value


def optuna_study():
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2) as pool:
        journal = f"{folder}/journal"
        return max(pool.map(draw, [journal, journal], [0, 1], [14, 13]))


# ---- The commands: tune.py with these options, and this program with the name of a search

TUNE = (
    "tune.py --workers 2",
    "tune.py --workers 1",
    "tune.py --workers 2 --halving",
    "tune.py --workers 2 --halving 2",
)
SEARCHES = {
    "loop": loop,
    "GridSearchCV": grid,
    "HalvingGridSearchCV": halving_grid,
    "Optuna, MedianPruner": optuna_study,
}


def measure(name):
    """Seconds of the whole command, and the best validation accuracy that it found."""
    environment = dict(os.environ)
    environment["PYTHONWARNINGS"] = "ignore"  # scikit-learn's, that training did not converge
    if name != "loop":
        environment.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, name]
        if name in TUNE:
            command = [sys.executable, *name.split(), f"--out={folder}"]
            command += [f"--epochs={EPOCHS}", f"--batch-size={BATCH}"]
            command += [f"--hidden={hidden}" for hidden in HIDDEN]  # as --hidden 32 64 128
            command += [f"--lr={lr}" for lr in LR]
            command += [f"--reg={reg}" for reg in REG]
        start = time.perf_counter()
        output = subprocess.check_output(command, cwd=PROJECT, env=environment)
        seconds = time.perf_counter() - start
        if name in TUNE:
            return seconds, load_sweep(folder)[0]["val_acc"]
        return seconds, float(output)


def main(rounds):
    found = {name: [] for name in [*TUNE, *SEARCHES]}
    for i in range(rounds):
        for name, runs in found.items():
            seconds, best = measure(name)
            runs.append((seconds, best))
            print(f"round {i + 1}: {name} {seconds:.1f} s, best {best:.2%}", flush=True)
    text = "# A sweep of 27 nets\n\n"
    text += "| command | seconds | GridSearchCV takes | best validation |\n"
    text += "| --- | --- | --- | --- |\n"
    grid_seconds, _ = np.median(found["GridSearchCV"], axis=0)
    for name, runs in found.items():
        seconds, best = np.median(runs, axis=0)
        ratio = grid_seconds / seconds
        text += f"| {name} | {seconds:.1f} | {ratio:.2f} times as long | {best:.2%} |\n"
    text += f"\nHidden {HIDDEN}, rates {LR}, reg {REG}, {EPOCHS} epochs of {BATCH}, mnist5k; "
    text += f"median of {rounds} rounds; {machine('scikit-learn', 'optuna')}.\n"
    (PROJECT / "benchmarks/sweep.md").write_text(text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main(rounds=3)
    elif sys.argv[1] in SEARCHES:
        print(SEARCHES[sys.argv[1]]())
    else:
        main(rounds=int(sys.argv[1]))
