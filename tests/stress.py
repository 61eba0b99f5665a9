"""Long trials of what must never happen: a file that harms its reader, a run or a file that is lost.

    python tests/stress.py                       # all; about a quarter of an hour
    python tests/stress.py --only files kill     # these sections
    python tests/stress.py --quick               # a little of everything: what the test suite runs

Ends with a table of what was tried, how often, and how often it held; exit code 1 if something did not. The
seeds are fixed: a failure names the trial's number, which gives the same trial again. Writes to a temporary
folder only (as root it also mounts a small file system there). Needs scipy, and Linux.
"""

import argparse
import codecs
import csv
import functools
import gzip
import hashlib
import http.server
import io
import json
import math
import multiprocessing
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

import numpy as np  # noqa: E402
from test_cifar_svhn import make_cifar10, make_svhn, python2_batch, python3_batch  # noqa: E402

import data_utils  # noqa: E402
import vis_utils  # noqa: E402
from two_layer_net import ACTIVATIONS, OPTIMIZERS, TwoLayerNet  # noqa: E402

SECONDS, MEGABYTES = 1.0, 256  # of CPU and of memory that reading a damaged file may take
fork = multiprocessing.get_context("fork")


events = None  # a list, while there is an interest in what Python does


def watch(event, arguments):
    """An audit hook that notes what a reader of files has no reason to do."""
    harmful = ("exec", "import", "os.", "subprocess.", "shutil.", "socket.", "ctypes.", "pickle.find_class")
    if events is not None:
        writes = event == "open" and (set(str(arguments[1])) & set("wax+") or arguments[2] & 3)
        if writes or (event.startswith(harmful) and event not in ("os.listdir", "os.scandir")):
            events.append(f"{event} {arguments}"[:200])


def peak():
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_children(trial, seeds, batch=200, cpu=20, most=MEGABYTES):
    """Call trial(seed) for all seeds, a batch in each child process; returns [(seed, problem), ...].

    The trial returns None or what went wrong. A hang, a crash and too much memory are problems, too.
    """
    seeds, problems = list(seeds), []

    def child(sender):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.addaudithook(watch)
        warnings.simplefilter("ignore")
        before = peak()
        for seed in seeds[:batch]:
            signal.setitimer(signal.ITIMER_PROF, cpu)  # whose signal ends the process
            problem, megabytes = trial(seed), peak() - before
            sender.send(problem or (f"took {megabytes:.0f} MB" if megabytes > most else None))
            if megabytes > most:  # the peak stays: go on in a new child
                break

    while seeds:
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=child, args=(sender,))
        process.start()
        sender.close()
        answers = []
        try:
            while receiver.poll(100 * cpu):
                answers.append(receiver.recv())
            process.kill()
            answers.append("hung")
        except EOFError:
            process.join()
            if process.exitcode:
                answers.append(f"crashed: exit code {process.exitcode}")
        process.join()
        problems += [pair for pair in zip(seeds, answers, strict=False) if pair[1]]
        seeds = seeds[len(answers) :]
    return problems


# ---------------------------------------------------------------------------------------- damaged files

SIZES = (0, 1, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
SNIPPETS = (
    *(b"(", b"]", b"}", b")", b"\x85", b"h\x00", b"cos\nsystem\n", b"e", b"t", b"R", b"b", b"q\xff", b"s"),
    *(b"r\xff\xff\xff\x7f", b"[", b"{", b"-", b"9", b"NaN", b'"', b"1e999", b"'descr': '|O', "),
    *(b"'shape': (9999999999, 99),", b"PK\1\2", b"PK\3\4", b"\x1f\x8b\x08", b"\x0e\0\0\0", b"\x0f\0\0\0"),
)


def damaged(content, donor, rng):
    """The content with one to four damages; half of them near its ends, where the headers are."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        n = len(content)
        at = rng.choice(
            (rng.randrange(n + 1), rng.randrange(min(n, 300) + 1), n - rng.randrange(min(n, 300) + 1))
        )
        length = rng.choice((1, 2, 4, 8, 40, 1000))
        kind = rng.randrange(8)
        if kind == 0 and at < n:
            content[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            del content[at : at + length]
        elif kind == 3:  # a piece of this file or of another one, over or between what is there
            source = rng.choice((bytes(content), donor))
            start = rng.choice((0, rng.randrange(len(source) + 1)))
            content[at : at + rng.choice((0, length))] = source[start : start + length]
        elif kind == 4:
            number = struct.pack("<Q", rng.choice(SIZES))
            width = rng.choice((1, 2, 4, 8))
            content[at : at + width] = number[:width] if rng.random() < 0.5 else number[:width][::-1]
        elif kind == 5:
            content[at:at] = rng.choice(SNIPPETS) * rng.choice((1, 3, 100, 30_000, 300_000))
        elif kind == 6:
            content[at : at + length] = rng.randbytes(length)
        else:  # a number in text
            digits = [i for i in range(n) if 48 <= content[i] < 58][:1000]
            if digits:
                i = rng.choice(digits)
                content[i : i + 1] = rng.choice((b"-1", b"0", b"7", b"99999999999", b"1e999", b"true", b"[]"))
    return bytes(content)


ZEROS = gzip.compress(bytes(2**24), mtime=0)


def zipped(parts, compression=zipfile.ZIP_STORED):
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", compression) as z:
        for name, content in parts:
            z.writestr(zipfile.ZipInfo(name), content, compression)
    return f.getvalue()


def npy(dtype, shape, content=b""):
    f = io.BytesIO()
    np.lib.format.write_array_header_1_0(f, {"descr": dtype, "fortran_order": False, "shape": shape})
    return f.getvalue() + content


def bombs(name, whole, rng):
    """A file made to take memory, time or control."""
    n, size = rng.choice((10**3, 10**5, 10**6)), rng.choice((2**26, 2**28, 2**31, 2**40, 2**62))
    if name.startswith("IDX"):
        head = struct.pack(">HBBII", 0, 8, 2, min(size, 2**31), max(1, size // 2**31))
        if rng.random() < 0.3:
            return gzip.compress(head) + ZEROS * rng.choice((0, 4, 64, 256))
        if rng.random() < 0.3:
            return gzip.compress(head)[:3] + b"\x08" + bytes(6) + b"a" * 10 * n  # a name without end
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        zeros = (packer.compress(bytes(2**20)) for _ in range(rng.choice((0, 40, 200))))
        return packer.compress(head) + b"".join(zeros) + packer.flush()
    if name.startswith("CIFAR"):
        opcode = rng.choice(SNIPPETS[:12])
        return (
            rng.choice((b"\x80\x02}", b"\x80\x03]", b"\x80\x04)"))
            + opcode * n
            + rng.choice((b".", b"e.", b"s."))
        )
    if name.startswith("SVHN"):
        element = struct.pack("<6I", 6, 8, 9, 0, 5, 16) + struct.pack("<4i", 32, 32, 3, size // 3072 % 2**31)
        element += struct.pack("<2I", 1 | 1 << 16, ord("X")) + struct.pack("<2I", 2, size % 2**32)
        packer = zlib.compressobj()
        packed = packer.compress(struct.pack("<2I", 14, (size + 56) % 2**32) + element)
        packed += (
            b"".join(packer.compress(bytes(2**20)) for _ in range(min(size, 2**27) // 2**20)) + packer.flush()
        )
        return whole[:128] + (struct.pack("<2I", 15, len(packed)) + packed) * rng.choice((1, 1, 2))
    parts = [[member, zipfile.ZipFile(io.BytesIO(whole)).read(member)]
             for member in zipfile.ZipFile(io.BytesIO(whole)).namelist()]  # fmt: skip
    member = rng.choice(parts)
    kind = rng.randrange(6)
    if kind == 0:  # much of nothing, deflated
        member[1] = npy("<f8", (2**23,), bytes(2**26))
        return zipped(parts, compression=zipfile.ZIP_DEFLATED)
    if kind == 1:  # a shape without its numbers
        shape = rng.choice(
            ((size,), (size, 0), (0, size), (size, size), (-size, -1), (True,) * 60, (1,) * 70)
        )
        member[1] = npy(rng.choice(("<f8", "<f4", "|O", "|V0", "<U0", "|S1000000000", "|b1")), shape)
    elif kind == 2:
        member[0] = rng.choice(
            ("../../x.npy", "/x.npy", member[0][:-4], "x\0.npy", "W1.npy.npy", "", parts[0][0])
        )
    elif kind == 3:  # all names lead to the same bytes
        content = zipped([*parts, ["big.npy", npy("<f8", (2**20,), bytes(2**23))]])
        names = [f"{i}.npy" for i in range(rng.choice((40, 2000)))]
        z = zipfile.ZipFile(io.BytesIO(content), "a")
        big = z.getinfo("big.npy")
        for other in names:
            twin = zipfile.ZipInfo(other)
            for key in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, key, getattr(big, key))
            z.filelist.append(twin)
        z._didModify = True
        z.close()
        return z.fp.getvalue() if z.fp else content
    elif kind == 4:
        member[1] = npy("<f8", (1,)).replace(b"{'descr'", b"(" * rng.choice((90, 9000)) + b"{'descr'")
    else:  # a number of the training's state
        for member in parts:
            if member[0] == "checkpoint.npy":
                text = np.load(io.BytesIO(member[1])).item()
                key = rng.choice(
                    ('"steps": ', '"pos": ', '"rate": ', '"best_val_acc": ', '"stopped": ', '"state": ')
                )
                value = rng.choice(
                    ("-1000000000,", "99999999999,", "1e999,", "null,", '"x",', "[[]],", "NaN,", "2.5,")
                )
                text = text.replace(key, key + value + ' "x": ', 2)
                f = io.BytesIO()
                np.save(f, text)
                member[1] = f.getvalue()
    return zipped(parts)


def resumable():
    net = TwoLayerNet(4, 3, 2, 0.1, rng=np.random.Generator(np.random.MT19937(0)))
    X, y = np.arange(20.0).reshape(5, 4), np.array([0, 1, 0, 1, 1])
    return functools.partial(net.train, X, y, X, y, 0.01, epochs=2, optimizer="adam", keep_best=True), net


def formats(folder):
    """By name: the file to damage, its whole content, how to read it, its inner parts, how to pack these."""
    rng = np.random.default_rng(0)
    idx = struct.pack(">HBBII", 0, 8, 2, 40, 28) + rng.integers(0, 256, 1120, np.uint8).tobytes()
    (folder / "idx").mkdir(parents=True)
    (folder / "idx" / "x").write_bytes(idx)
    (folder / "idx" / "x.gz").write_bytes(gzip.compress(idx))
    one = [idx]
    read = data_utils.read_idx
    yield "IDX", folder / "idx" / "x", read, one, lambda parts: parts[0]
    yield "IDX, gzipped", folder / "idx" / "x.gz", read, one, lambda parts: gzip.compress(parts[0])
    for name, write in (("2", python2_batch), ("3", python3_batch(3)), ("4", python3_batch(4))):
        make_cifar10(folder / name, 3, write)
        path = folder / name / "data_batch_1"
        read = functools.partial(lambda folder, path: data_utils.load_CIFAR10(folder), folder / name)
        yield f"CIFAR-10, protocol {name}", path, read, [path.read_bytes()], lambda parts: parts[0]
    for name, compress in (("plain", False), ("packed", True)):
        make_svhn(folder / name / "svhn", 5, 5, compress)
        path = folder / name / "svhn" / "train_32x32.mat"
        plain = (folder / "plain" / "svhn" / "train_32x32.mat").read_bytes()
        cut = 128 + 8 + struct.unpack("<I", plain[132:136])[0]

        def pack(parts):
            elements = map(zlib.compress, parts[1:])
            return parts[0] + b"".join(struct.pack("<2I", 15, len(e)) + e for e in elements)

        read = functools.partial(
            lambda folder, path: data_utils.load_dataset("svhn", directory=folder, validation=0),
            folder / name,
        )
        parts = [plain[:128], plain[128:cut], plain[cut:]]
        yield f"SVHN, {name}", path, read, parts, pack if compress else b"".join
    (folder / "nets").mkdir()
    train, net = resumable()
    net.save(folder / "nets" / "net.npz")
    train(checkpoint=folder / "nets" / "checkpoint.npz")
    readers = {
        "net": TwoLayerNet.load,
        "checkpoint": lambda path: resumable()[0](checkpoint=path, resume=True),
    }
    for name, read in readers.items():
        path = folder / "nets" / f"{name}.npz"
        z = zipfile.ZipFile(path)
        names = z.namelist()
        parts = [z.read(member) for member in names]
        yield (
            f"saved {name}",
            path,
            read,
            parts,
            lambda parts, names=names: zipped(zip(names, parts, strict=True)),
        )


def files(quick):
    trials = 40 if quick else 10_000
    codecs.lookup("raw_unicode_escape")  # pickletools does; the first time imports a module
    with tempfile.TemporaryDirectory() as folder:
        for name, path, read, parts, pack in formats(Path(folder)):
            whole = path.read_bytes()
            read(path)  # it can be read, and all is imported that is needed to

            def trial(seed, name=name, path=path, read=read, parts=parts, pack=pack, whole=whole):
                global events
                rng = random.Random(f"{name} {seed}")
                kind = rng.random()
                if kind < 0.02:
                    content = bombs(name, whole, rng)
                elif kind < 0.5:
                    content = damaged(whole, rng.choice((b"\x80\x02]", parts[0])), rng)
                else:  # inside, so that checksums do not give it away
                    inner, i = list(parts), rng.randrange(len(parts))
                    inner[i] = damaged(inner[i], whole, rng)
                    content = pack(inner)
                path.write_bytes(content)
                before = sorted(os.listdir(path.parent))
                events, start = [], time.process_time()
                try:
                    read(path)
                    problem = None  # what is left may be valid
                except (ValueError, OSError) as error:
                    problem = None if str(path) in str(error) else f"does not name the file: {error!r}"
                    while error := error.__cause__:
                        if isinstance(error, MemoryError):
                            problem = "asked for too much memory"
                except BaseException as error:
                    problem = f"{type(error).__name__}: {error}"
                seen, events = events, None
                seconds = time.process_time() - start
                if seen:
                    problem = f"did {seen[0]}"
                if sorted(os.listdir(path.parent)) != before:
                    problem = "wrote a file"
                return problem or (f"took {seconds:.1f} s" if seconds > SECONDS else None)

            failures = in_children(trial, range(trials))
            path.write_bytes(whole)
            yield f"damaged {name}", trials, failures


# ---------------------------------------------------------------------------------------- wrong arguments


def calls(quick):
    """All wrong arguments; the test suite tries a part of them."""
    import test_bad_calls

    for name in test_bad_calls.CALLS:
        cases = [case for case in test_bad_calls.CASES if case[0] == name][:: 20 if quick else 1]
        yield f"wrong arguments: {name}", len(cases), in_children(test_bad_calls.wrong, cases, most=math.inf)
    cases = test_bad_calls.FLAGS[:: 20 if quick else 1]
    yield "wrong words on the command line", len(cases), in_children(test_bad_calls.wrong_flag, cases)


# ---------------------------------------------------------------------------------------- long and large


def large(quick):
    def rows(_):
        """a million rows train an epoch in the memory of the array"""
        N = 20_000 if quick else 1_000_000
        rng = np.random.default_rng(0)
        X, y = np.empty((N, 784), np.float32), rng.integers(0, 10, N, np.uint8)
        for part in np.split(X, 100):
            rng.random(out=part, dtype=np.float32)
        net = TwoLayerNet(784, 32, 10, "he", dtype=np.float32, rng=0)
        before = peak()
        history = net.train(X, y, X[:1000], y[:1000], 0.1, epochs=1, batch_size=500)
        more = peak() - before
        if not (len(history["loss_history"]) == N // 500 and more < 30 + 0.1 * X.nbytes / 2**20):
            return f"took {more:.0f} MB more than X's {X.nbytes / 2**20:.0f}"

    def classes(_):
        """10,000 classes"""
        C = 1000 if quick else 10_000
        y = np.arange(2 * C) % C
        X = np.random.default_rng(0).standard_normal((C, 40))[y]
        net = TwoLayerNet(40, 100, C, "he", dtype=np.float32, rng=0)
        history = net.train(X, y, X, y, 0.01, epochs=10, batch_size=1000, optimizer="adam")
        if not history["val_acc_history"][-1] > 0.9:
            return f"accuracy {history['val_acc_history'][-1]}"

    def one_unit(_):
        """one hidden unit tells two classes apart"""
        X = np.random.default_rng(0).standard_normal((1000, 3))
        y = (X[:, 0] > 0).astype(int)
        net = TwoLayerNet(3, 1, 2, 0.5, activation="tanh", rng=0)
        history = net.train(X, y, X, y, 0.5, epochs=20)
        if not history["val_acc_history"][-1] > 0.97:
            return f"accuracy {history['val_acc_history'][-1]}"

    def epochs(_):
        """many epochs take no memory but the history's"""
        n, epoch, used = 5_000 if quick else 100_000, 0, {}

        def note(net, history):
            nonlocal epoch
            epoch += 1
            for values in history.values():
                values.clear()
            if epoch in (n // 10, n):
                used[epoch] = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

        X, y = 10 * np.random.default_rng(1).standard_normal((5, 4)), np.array([0, 1, 2, 2, 1])
        TwoLayerNet(4, 10, 3, 0.1, rng=0).train(X, y, X, y, 1e-3, 1.0, epochs=n, callback=note)
        if used[n] - used[n // 10] > 2**19:
            return f"grew by {used[n] - used[n // 10]} bytes"

    for trial in (rows, classes, one_unit, epochs):
        less = ", a twentieth or so of that" if quick else ""
        yield trial.__doc__ + less, 1, in_children(trial, [0], cpu=1200, most=math.inf)


# ------------------------------------------------------------------------------------- killed and resumed


def bits(net, history):
    """A checksum of all that a training leaves."""
    parts = [w.tobytes() for w in net.params.values()]
    parts.append(repr((history, net.rng and net.rng.bit_generator.state)).encode())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def kill(quick):
    kills, rng = 4 if quick else 50, random.Random(0)
    data = np.random.default_rng(0)
    X, y = data.standard_normal((300, 64)), data.integers(0, 10, 300)

    def life(sender, path, log):
        """Train to the end, going on from the checkpoint if there is one."""

        def callback(net, history):
            os.write(log, b"%d\n" % len(history["val_acc_history"]))

        net = TwoLayerNet(64, 400, 10, 0.1, dropout=0.2, dtype=np.float32, rng=3)
        options = {"optimizer": "adam", "keep_best": True, "augment": lambda X, rng: X + rng.random(X.shape)}
        history = net.train(X, y, X, y, 0.001, epochs=40, batch_size=50, callback=callback,
                            checkpoint=path, resume=True, **options)  # fmt: skip
        sender.send(bits(net, history))

    def live(path, log, seconds=600.0):
        """What `life` sends, or None if it was killed after so many seconds."""
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=life, args=(sender, path, log))
        process.start()
        sender.close()
        receiver.poll(seconds)
        process.kill()
        process.join()
        try:
            return receiver.recv() if receiver.poll() else None
        except EOFError:
            return None if process.exitcode == -9 else f"exit code {process.exitcode}"

    broken, doubled, others, runs = [], [], [], 0
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "log", "a+b") as log:
        path = Path(folder) / "checkpoint.npz"
        start = time.monotonic()
        whole = live(path, log.fileno())
        length, killed = time.monotonic() - start, 0
        while killed < kills:
            path.unlink()
            log.truncate(0)
            runs, last, end = runs + 1, 0, None
            while end is None:
                begin = os.fstat(log.fileno()).st_size
                end = live(path, log.fileno(), rng.uniform(0, length / 3) if killed < kills else 600)
                log.seek(begin)
                done = [int(line) for line in log.read().split()]
                if done != list(range(done[0], done[0] + len(done)) if done else []) or (
                    done and done[0] not in (last, last + 1)
                ):
                    doubled.append((killed, f"epoch {last}, then {done}"))
                last = done[-1] if done else last
                if end is None:
                    killed += 1
                    try:
                        if path.exists():
                            with zipfile.ZipFile(path) as z:
                                assert z.testzip() is None
                    except Exception as error:
                        broken.append((killed, repr(error)))
            if end != whole:
                others.append((runs, end))
    yield "killed: the checkpoint is whole", killed, broken
    yield "killed: nothing trained twice but the epoch in flight", killed, doubled
    yield "killed and resumed to the end: the same bits", runs, others
    yield from kill_sweep(3 if quick else 21, rng)


def kill_sweep(kills, rng):
    """Kill a sweep, its first process or a worker, and go on until it is done; again until all are done."""
    command = [sys.executable, str(PROJECT / "tune.py"), "--workers", "2", "--epochs", "9", "--halving"]
    command += ["--hidden", "8", "32", "--lr", "0.03", "0.1", "0.3", "--reg", "0", "1e-3", "--out"]
    ways, killed, runs, broken, doubled, left, others = ("parent", "worker", "SIGTERM"), 0, 0, [], [], [], []

    def rows(out):
        """The rows of trials.csv, as (trial, epochs) and the rest."""
        path = out / "trials.csv"
        with io.StringIO(path.read_text() if path.exists() else "") as file:
            table = list(csv.DictReader(file))
        assert all(None not in row and None not in row.values() for row in table), "half a row"
        return {(row.pop("trial"), row.pop("epochs")): row for row in table}

    def results(out):
        """All but the seconds, to the bit: the table, every trial's net and history, the best net."""
        table = {key: {**row, "seconds": ""} for key, row in rows(out).items()}
        files = [out / "best.npz", *sorted((out / "trials").iterdir())]
        return table, {path.name: path.read_bytes() for path in files}

    def family(pid):
        """The processes of the session that the sweep began."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            except OSError:  # it has ended
                continue
            if int(session) == pid and state != "Z":
                found.append(int(path.parent.name))
        return found

    def live(out, way=None, seconds=600.0):
        """The exit code, or None if it was killed."""
        run = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, "TMPDIR": temporary}, start_new_session=True)  # fmt: skip
        try:
            return run.wait(seconds)
        except subprocess.TimeoutExpired:
            workers = [pid for pid in family(run.pid) if pid != run.pid]
            if way == "worker" and workers:
                os.kill(rng.choice(workers), signal.SIGKILL)
                run.wait(600)
            else:
                run.send_signal(signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
                run.wait(60)
        end = time.monotonic() + 5
        while (family(run.pid) or os.listdir(temporary)) and time.monotonic() < end:
            time.sleep(0.05)
        if family(run.pid) or os.listdir(temporary):
            left.append((killed, f"{way}: {len(family(run.pid))} processes, {os.listdir(temporary)}"))
        return None

    def damage(out):
        for path in out.rglob("*"):
            if path.suffix == ".npz":
                with zipfile.ZipFile(path) as z:
                    assert z.testzip() is None, path
            elif path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".png":
                assert path.read_bytes().endswith(b"IEND\xaeB`\x82"), path

    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as temporary:
        start = time.monotonic()
        assert live(Path(folder, "whole")) == 0
        length, whole = time.monotonic() - start, results(Path(folder, "whole"))
        while killed < kills:
            runs, out, end = runs + 1, Path(folder, str(runs)), None
            while end is None:
                before = rows(out)
                way, seconds = ways[killed % 3], rng.uniform(0, length)
                end = live(out, way, seconds) if killed < kills else live(out)
                killed += end is None
                try:
                    damage(out)
                    after = rows(out)
                except Exception as error:
                    broken.append((killed, f"{way} after {seconds:.2f} s: {error!r}"))
                    continue
                # the seconds tell whether a trial was trained to the same epoch again
                twice = [key for key, row in before.items() if key in after and after[key] != row]
                if twice:
                    doubled.append((killed, f"{way} after {seconds:.2f} s: {twice}"))
            if end != 0 or results(out) != whole:
                others.append((runs, f"exit code {end}"))
    yield "a sweep killed: its files are whole", killed, broken
    yield "a sweep killed: no process and no temporary file is left", killed, left
    yield "a sweep killed: no finished trial is trained again", killed, doubled
    yield "a sweep killed and resumed to the end: the same nets, to the bit", runs, others


# ---------------------------------------------------------------------------------------- a full disk


def disk(quick):
    """Save each kind of file over an old one where there is no room for the new one."""
    net = TwoLayerNet(50, 40, 10, rng=0)
    X, y = np.zeros((20, 50)), np.arange(20) % 10
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28), np.uint8)

    class Served(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(noise.tobytes())

        def log_message(self, *args):
            requests.append(self.path)

    requests = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
    url = f"http://127.0.0.1:{server.server_port}/x"
    checksum = hashlib.md5(noise.tobytes()).hexdigest()
    savers = {
        "net.npz": net.save,
        "checkpoint.npz": lambda path: net.train(X, y, X, y, epochs=1, checkpoint=path),
        "picture.png": lambda path: vis_utils.show_net_weights(net, (5, 10), path=path),
        "picture.pdf": lambda path: vis_utils.show_net_weights(net, (5, 10), path=path),
        "x-idx": lambda path: data_utils.write_idx(path, noise),
        "x-idx.gz": lambda path: data_utils.write_idx(path, noise),
        "download": lambda path: data_utils._fetch([url, url], path, noise.size, checksum, "get it"),
    }

    def full(folder, name, limit):
        """What goes wrong when so many bytes of a file can be written."""
        path, unraisable = folder / name, []
        sys.unraisablehook = lambda error: unraisable.append(repr(error.exc_value))
        data_utils._PAUSES = (0, 0, 0)
        path.write_bytes(b"old")
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.stdout = io.StringIO()
        try:
            savers[name](path)
            return "no error"
        except OSError as error:
            said = str(error)
        finally:
            sys.stdout = sys.__stdout__
        if str(path) not in said or said.count("No space left") + said.count("File too large") != 1:
            return f"the error does not say so, once: {said}"
        if path.read_bytes() != b"old" or set(os.listdir(folder)) - {"filler"} != {name}:
            return f"left {[(file.name, file.stat().st_size) for file in folder.iterdir()]}"
        return f"could not be raised: {unraisable}" if unraisable else None

    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in savers:
        limits = (0, 1000) if quick else (0, 1, 100, 1000, 3000, 5000, 7000)
        with tempfile.TemporaryDirectory() as folder:
            trial = functools.partial(full, Path(folder), name)
            failures = in_children(trial, limits, batch=1)
        yield f"{name}: a file that may not grow", len(limits), failures
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
        if os.geteuid() or subprocess.run(command, capture_output=True).returncode:
            return
        try:
            for name in savers:
                for file in Path(folder).iterdir():
                    file.unlink()
                (Path(folder) / "filler").write_bytes(bytes(15 * 4096 - 1))
                failures = in_children(functools.partial(full, Path(folder), name), [None])
                yield f"{name}: a full disk", 1, failures
        finally:
            subprocess.run(["umount", folder], check=True)


# ---------------------------------------------------------------------------------------- determinism


def digest():
    """A checksum of nets trained in many ways, of files they are saved to and of a dataset."""
    data = data_utils.load_dataset("mnist5k", normalize="standard")
    X, y = data.X_train[:100].reshape(-1, 28, 28), data.y_train[:100]
    found = [data.X_test.tobytes()]
    for i, (activation, optimizer) in enumerate((a, o) for a in ACTIVATIONS for o in OPTIMIZERS):
        np.random.seed(i)
        options = {"dropout": 0.2, "dtype": (np.float32, np.float64)[i % 2], "rng": (None, i)[i // 2 % 2]}
        net = TwoLayerNet(
            784, 30, 10, "he", activation=activation, criterion=("softmax", "mse")[i % 2], **options
        )
        history = net.train(X, y, X, y, 0.01, batch_size=30, optimizer=optimizer, augment=data_utils.distort,
                            **({"epochs": 2} if i % 3 else {"num_iters": 15}))  # fmt: skip
        found.append(bits(net, history).encode())
        with tempfile.TemporaryDirectory() as folder:
            net.save(f"{folder}/net.npz")
            found.append(Path(folder, "net.npz").read_bytes())
    return hashlib.sha256(b"".join(found)).hexdigest()


def determinism(quick):
    answers = []
    for i in range(2 if quick else 20):
        code = "import stress; print(stress.digest()" + (")" if quick else ", stress.digest())")
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT / "tests",
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(i)},
        )
        answers += run.stdout.split() or [run.stderr[-300:]]
    yield "the same seed gives the same bits", len(answers), [
        (i, answer) for i, answer in enumerate(answers) if answer != answers[0] or len(answer) != 64
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------- all together

SECTIONS = {
    "files": files,
    "calls": calls,
    "large": large,
    "kill": kill,
    "disk": disk,
    "determinism": determinism,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION",
                        help=", ".join(SECTIONS))  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    options = parser.parse_args()
    table = []
    for section in options.only:
        start = time.monotonic()
        for what, tried, failures in SECTIONS[section](options.quick):
            held, seconds = tried - len(failures), time.monotonic() - start
            table.append((what, tried, held))
            print(f"{section}: {what}: {held} of {tried} held, {seconds:.0f} s")
            for failure in failures[:10]:
                print("    trial {}: {}".format(*failure))
            sys.stdout.flush()
    width = max(len(what) for what, _, _ in table)
    print(f"\n{'tried':{width}}{'times':>8}{'held':>8}")
    for what, tried, held in table:
        print(f"{what:{width}}{tried:8}{held:8}{'' if tried == held else '   NOT ALL'}")
    return int(any(tried != held for _, tried, held in table))


if __name__ == "__main__":
    sys.exit(main())
