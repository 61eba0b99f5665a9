"""The speed of a sweep: tune.py, a plain loop over the class, scikit-learn's GridSearchCV; and halving.

    python -m pip install -r requirements-bench.txt     # scikit-learn
    python benchmarks/sweep.py                          # ten minutes of an idle machine with two cores
    python benchmarks/sweep.py --halving                # full sweeps of MNIST against halved ones, ten more

All train the same 27 nets on mnist5k with momentum, the same epochs and batch size, and judge them by the
same validation rows; the times are those of whole commands, pictures included. The commands take turns, and
what counts is the median over the rounds. "Plain loop" trains one net after the other in one process, with
as many threads as the BLAS library chooses; GridSearchCV fits an MLPClassifier for each combination in two
processes on one fixed split, and does not fit the best one again.

Start-up is the time from the command until the first trial trains. Memory is the sum of the workers'
proportional set sizes (Pss in /proc/*/smaps_rollup: a page that n processes share counts 1/n in each) while
CIFAR-10 is swept; it is measured only where that dataset and /proc are there. Each of the two commands
writes its own part of benchmarks/sweep.md.
"""

import argparse
import csv
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

HIDDEN, LR, REG = (32, 64, 128), (0.01, 0.03, 0.1), (1e-5, 1e-4, 1e-3)
EPOCHS, BATCH = 27, 50
SETTINGS = [f"--{name}={value}" for name, value in (("epochs", EPOCHS), ("batch-size", BATCH))]
for flag, values in (("--hidden", HIDDEN), ("--lr", LR), ("--reg", REG)):
    SETTINGS += [flag, *map(str, values)]
OURS = {"tune.py, 2 workers": ["--workers", "2"], "tune.py, 1 worker": ["--workers", "1"],
        "tune.py --halving": ["--workers", "2", "--halving"]}  # fmt: skip
OTHERS = {"plain loop": "loop", "GridSearchCV": "grid_search"}
MNIST = ["--dataset", "mnist", "--trials", "27", "--epochs", "9", "--batch-size", "100", "--hidden", "32:128",
         "--lr", "1e-3:1", "--reg", "1e-6:1e-2"]  # fmt: skip


def loop():
    from data_utils import load_dataset
    from two_layer_net import TwoLayerNet

    data, best = load_dataset("mnist5k"), -1
    for hidden, lr, reg in itertools.product(HIDDEN, LR, REG):
        net = TwoLayerNet(784, hidden, 10, "he", dtype=np.float32, rng=0)
        history = net.train(data.X_train, data.y_train, data.X_val, data.y_val, lr, reg=reg, epochs=EPOCHS,
                            batch_size=BATCH, optimizer="momentum")  # fmt: skip
        best = max(best, history["val_acc_history"][-1])
    print(f"best {best:.2%}")


def grid_search():
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, PredefinedSplit
    from sklearn.neural_network import MLPClassifier

    from data_utils import load_dataset

    os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes: that training did not converge
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = load_dataset("mnist5k")
    net = MLPClassifier(
        solver="sgd", momentum=0.9, nesterovs_momentum=False, batch_size=BATCH, max_iter=EPOCHS, tol=0,
        n_iter_no_change=10**9, random_state=0,
    )  # fmt: skip
    # it divides the penalty by twice the batch
    grid = {"hidden_layer_sizes": [(h,) for h in HIDDEN], "learning_rate_init": LR,
            "alpha": [2 * BATCH * reg for reg in REG]}  # fmt: skip
    fold = np.r_[np.full(len(data.X_train), -1), np.zeros(len(data.X_val), int)]
    search = GridSearchCV(net, grid, cv=PredefinedSplit(fold), n_jobs=2, refit=False)
    search.fit(
        np.concatenate([data.X_train, data.X_val]), np.concatenate([data.y_train, data.y_val])
    )
    print(f"best {search.best_score_:.2%}")


def command(name):
    if name in OTHERS:
        return [sys.executable, __file__, "--contender", OTHERS[name]]
    return [sys.executable, str(HERE.parent / "tune.py"), *SETTINGS, *OURS[name]]


def seconds(name):
    """Of the whole command, and the best validation accuracy that it printed."""
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", f"{folder}/out"] if name in OURS else []
        start = time.perf_counter()
        run = subprocess.run([*command(name), *out], stdout=subprocess.PIPE, text=True)
        took = time.perf_counter() - start
        if run.returncode:
            sys.exit(f"{name}: ended with exit code {run.returncode}, see above")
        if name in OTHERS:
            return took, run.stdout.split()[-1]
        with open(Path(folder, "out", "trials.csv"), newline="") as file:
            return took, f"{max(float(row['val_acc']) for row in csv.DictReader(file)):.2%}"


def workers_of(pid):
    """The worker processes of a sweep, by the id of its first process."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in path.joinpath("cmdline").read_bytes():
                yield path
        except OSError:
            continue


def startup():
    """Seconds until the first of 27 trials of one epoch has come back, less the seconds that it trained."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [
            "--epochs",
            "1",
            "--workers",
            "2",
            "--out",
            folder,
            "--hidden",
            "4",
            *SETTINGS[-8:],
        ]
        start = time.perf_counter()
        run = subprocess.Popen(
            [sys.executable, str(HERE.parent / "tune.py"), *flags], stdout=subprocess.PIPE
        )
        run.stdout.readline()
        took = time.perf_counter() - start
        run.communicate()
        with open(Path(folder, "trials.csv"), newline="") as file:
            return took - min(float(row["seconds"]) for row in csv.DictReader(file))


def memory():
    """Peak of the two workers' memory, and the size of the arrays, both in MB; None without CIFAR-10."""
    from data_utils import load_dataset

    try:
        data = load_dataset("cifar10")
    except FileNotFoundError:
        return None
    size = (
        sum(getattr(data, part).nbytes for part in ("X_train", "y_train", "X_val", "y_val")) / 1e6
    )
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--dataset", "cifar10", "--hidden", "100", "200", "--lr", "0.01", "--reg", "0", "1e-4",
                 "--epochs", "1", "--batch-size", "200", "--workers", "2", "--out", folder]  # fmt: skip
        run = subprocess.Popen(
            [sys.executable, str(HERE.parent / "tune.py"), *flags], stdout=subprocess.PIPE
        )
        peak = 0
        while run.poll() is None:
            pss = 0
            for path in workers_of(run.pid):
                try:
                    lines = path.joinpath("smaps_rollup").read_text().splitlines()
                    pss += (
                        sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
                        / 1000
                    )
                except OSError:  # it has ended
                    continue
            peak = max(peak, pss)
            time.sleep(0.05)
        run.communicate()
    return peak, size


def speed(rounds):
    found = {name: [] for name in (*OURS, *OTHERS)}
    for i in range(rounds):
        for name, results in found.items():
            results.append(seconds(name))
            print(f"round {i + 1}: {name} {results[-1][0]:.1f} s", flush=True)
    begin, used = statistics.median(startup() for _ in range(rounds)), memory()
    median = {
        name: statistics.median(took for took, _ in results) for name, results in found.items()
    }
    ours = median["tune.py, 2 workers"]
    text = "## Speed\n\n| command | seconds | times 2 workers | best validation accuracy |\n"
    text += "| --- | --- | --- | --- |\n"
    for name, took in median.items():
        text += f"| {name} | {took:.1f} | {took / ours:.2f} | {found[name][-1][1]} |\n"
    text += (
        f"\n27 nets (hidden {HIDDEN}, learning rates {LR}, reg {REG}), {EPOCHS} epochs, batches of "
    )
    text += f"{BATCH}, on mnist5k; median of {rounds} rounds. From the command to the first trial: "
    text += f"{begin:.2f} s.\n"
    if used:
        text += f"CIFAR-10: the two workers take {used[0]:.0f} MB at most for {used[1]:.0f} MB of data.\n"
    return text


def halving(seeds):
    text, rows = "## Halving\n\n", []
    for seed in range(seeds):
        best = []
        for flags in ([], ["--halving"]):
            with tempfile.TemporaryDirectory() as folder:
                out = ["--seed", str(seed), "--out", f"{folder}/out", *flags]
                start = time.perf_counter()
                subprocess.run([sys.executable, str(HERE.parent / "tune.py"), *MNIST, *out], check=True,
                               stdout=subprocess.PIPE)  # fmt: skip
                took = time.perf_counter() - start
                with open(Path(folder, "out", "trials.csv"), newline="") as file:
                    table = list(csv.DictReader(file))
            accuracies = [float(row["val_acc"]) for row in table if row["status"] == "ok"]
            best += [max(accuracies), sum(int(row["epochs"]) for row in table), took]
        rows.append(best)
        print(seed, best, flush=True)
    text += "| seed | full sweep | epochs | seconds | halving | epochs | seconds | points lost | epochs spent |\n"
    text += f"|{' --- |' * 9}\n"
    for seed, (full, all_epochs, slow, halved, epochs, fast) in enumerate(rows):
        text += f"| {seed} | {full:.2%} | {all_epochs} | {slow:.1f} | {halved:.2%} | {epochs} | {fast:.1f} | "
        text += f"{100 * (full - halved):.2f} | {epochs / all_epochs:.1%} |\n"
    lost, spent = (statistics.median(values) for values in zip(
        *((100 * (r[0] - r[3]), r[4] / r[1]) for r in rows), strict=True))  # fmt: skip
    text += f"\nMedian: {lost:.2f} points lost with {spent:.1%} of the epochs. MNIST, best validation accuracy "
    text += f"of 27 trials drawn at random, 9 epochs: `python tune.py {' '.join(MNIST)}`.\n"
    return text


def main():
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="the median of N (default: 3)"
    )
    parser.add_argument("--halving", action="store_true", help="the accuracy of halving, on MNIST")
    parser.add_argument(
        "--seeds", type=int, default=5, metavar="N", help="of --halving (default: 5)"
    )
    parser.add_argument("--contender", choices=OTHERS.values(), help=argparse.SUPPRESS)
    o = parser.parse_args()
    if o.contender:
        return globals()[o.contender]()
    from train_step import machine  # what it runs on

    path = HERE / "sweep.md"
    parts = path.read_text(encoding="utf-8").split("## ")[1:] if path.exists() else []
    parts = {part.split("\n")[0]: f"## {part.rstrip()}\n" for part in parts}
    new = halving(o.seeds) if o.halving else speed(o.rounds)
    parts["Halving" if o.halving else "Speed"] = f"{new}\n{machine()}.\n"
    text = "# A sweep\n\n" + "\n".join(
        parts[name] for name in ("Speed", "Halving") if name in parts
    )
    path.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
