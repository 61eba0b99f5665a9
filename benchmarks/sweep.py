"""Seconds and best accuracy of a sweep: tune.py, scikit-learn's searches, Optuna.

    python -m pip install -r requirements-bench.txt
    python benchmarks/sweep.py [ROUNDS]       # 3; five minutes of an idle machine with two cores

All try the same 27 nets on mnist5k, with momentum 0.9, 27 epochs at most and batches of 50, in two
processes, and judge them by the same validation rows. Timed are whole commands, which take turns;
the median of the rounds counts. "loop" trains one net after another in one process with all BLAS
threads; scikit-learn and Optuna train MLPClassifiers, whose rate is constant, while ours decays by
0.95 an epoch. Halving keeps a third, from 1 epoch, or with "--halving 2" half, from 2 epochs;
scikit-learn's begins from the start at each rung. Optuna draws 27 times and prunes by the median.
"""

import itertools
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from data_utils import load_dataset

HIDDEN, LR, REG = (32, 64, 128), (0.01, 0.03, 0.1), (1e-5, 1e-4, 1e-3)
EPOCHS, BATCH = 27, 50
TUNE = [str(HERE.parent / "tune.py"), f"--epochs={EPOCHS}", f"--batch-size={BATCH}"]
for flag, values in (("--hidden", HIDDEN), ("--lr", LR), ("--reg", REG)):
    TUNE += [flag, *map(str, values)]
COMMANDS = {
    "tune.py, 2 workers": [*TUNE, "--workers", "2"],
    "tune.py, 1 worker": [*TUNE, "--workers", "1"],
    "tune.py --halving": [*TUNE, "--workers", "2", "--halving"],
    "tune.py --halving 2": [*TUNE, "--workers", "2", "--halving", "2"],
    "loop": [__file__, "loop"],
    "GridSearchCV": [__file__, "grid"],
    "HalvingGridSearchCV": [__file__, "halving"],
    "Optuna, MedianPruner": [__file__, "optuna"],
}


def loop():
    from two_layer_net import TwoLayerNet

    data, found = load_dataset("mnist5k"), []
    for hidden, lr, reg in itertools.product(HIDDEN, LR, REG):
        net = TwoLayerNet(784, hidden, 10, "he", dtype=np.float32, rng=0)
        arrays, options = (data.X_train, data.y_train, data.X_val, data.y_val), {"reg": reg}
        options |= {"epochs": EPOCHS, "batch_size": BATCH, "optimizer": "momentum"}
        found.append(net.train(*arrays, lr, **options)["val_acc_history"][-1])
    return max(found)


def classifier(**options):
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # that training did not converge
    options |= {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False, "random_state": 0}
    return MLPClassifier(batch_size=BATCH, tol=0, n_iter_no_change=10**9, **options)


def grid(halving=False):
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, PredefinedSplit

    os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes
    data = load_dataset("mnist5k")
    # MLPClassifier divides the penalty by twice the batch
    lists = {"hidden_layer_sizes": [(h,) for h in HIDDEN], "learning_rate_init": LR}
    lists["alpha"] = [2 * BATCH * reg for reg in REG]
    fold = np.r_[np.full(len(data.X_train), -1), np.zeros(len(data.X_val), int)]
    options = {"cv": PredefinedSplit(fold), "n_jobs": 2, "refit": False}
    if halving:
        options |= {"resource": "max_iter", "max_resources": EPOCHS}
        search = HalvingGridSearchCV(classifier(), lists, **options)
    else:
        search = GridSearchCV(classifier(max_iter=EPOCHS), lists, **options)
    X, y = np.concatenate([data.X_train, data.X_val]), np.concatenate([data.y_train, data.y_val])
    return search.fit(X, y).cv_results_["mean_test_score"].max()


def halving():
    return grid(halving=True)


def optimize(path, seed, count):
    """What each of Optuna's two processes does."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    data = load_dataset("mnist5k")

    def objective(trial):
        options = {"hidden_layer_sizes": (trial.suggest_categorical("hidden", HIDDEN),)}
        options["learning_rate_init"] = trial.suggest_categorical("lr", LR)
        options["alpha"] = 2 * BATCH * trial.suggest_categorical("reg", REG)
        net = classifier(**options)
        for epoch in range(EPOCHS):
            net.partial_fit(data.X_train, data.y_train, classes=range(10))
            accuracy = net.score(data.X_val, data.y_val)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = {"storage": optuna.storages.JournalStorage(JournalFileBackend(path))}
    options |= {"sampler": optuna.samplers.RandomSampler(seed), "direction": "maximize"}
    options |= {"pruner": optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=2)}
    study = optuna.create_study(study_name="sweep", load_if_exists=True, **options)
    study.optimize(objective, n_trials=count)
    return study.best_value


def optuna():
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(2) as pool:
        tasks = [f"{folder}/journal"] * 2, (0, 1), (14, 13)
        return max(pool.map(optimize, *tasks))


def seconds(name):
    """Seconds of the whole command, and the best validation accuracy that it printed."""
    threads = {} if name == "loop" else {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/out"] if "tune" in name else []
        run, start = [sys.executable, *COMMANDS[name], *out], time.perf_counter()
        text = subprocess.check_output(run, text=True, env=os.environ | threads)
        return time.perf_counter() - start, float(re.findall(r"best [^%]*?(\d+\.\d+)%", text)[-1])


def main(rounds):
    from train_step import machine

    found = {name: [] for name in COMMANDS}
    for i in range(rounds):
        for name, results in found.items():
            results.append(seconds(name))
            print(f"round {i + 1}: {name} {results[-1]}", flush=True)
    found = {name: [*map(median, zip(*runs, strict=True))] for name, runs in found.items()}
    text = "# A sweep of 27 nets\n\n| command | seconds | GridSearchCV takes | best validation |\n"
    text += "| --- | --- | --- | --- |\n"
    for name, (took, best) in found.items():
        ratio = found["GridSearchCV"][0] / took
        text += f"| {name} | {took:.1f} | {ratio:.2f} times as long | {best:.2f} % |\n"
    text += f"\nHidden {HIDDEN}, rates {LR}, reg {REG}, {EPOCHS} epochs of {BATCH}, mnist5k;"
    text += f" median of {rounds} rounds; {machine('scikit-learn', 'optuna')}.\n"
    (HERE / "sweep.md").write_text(text)
    print(text)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isalpha():
        print(f"best {globals()[sys.argv[1]]():.2%}")
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 3)
