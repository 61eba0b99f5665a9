"""Long trials of what must never happen: a file that harms its reader, a run or a file that is lost.

    python tests/stress.py                       # all; about half an hour on two cores
    python tests/stress.py --only files kill     # these sections
    python tests/stress.py --quick               # a tenth or less of everything, about two minutes

Ends with a table of what was tried, how often, and how often it held; exit code 1 if something did not. The
seeds are fixed: a failure names the trial's number, which gives the same trial again. Writes to a temporary
folder only. Needs scipy, and a system with fork (Linux, macOS).
"""

import argparse
import functools
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is imported
PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

import numpy as np  # noqa: E402
from test_cifar_svhn import make_cifar10, make_svhn, python2_batch, python3_batch  # noqa: E402

import data_utils  # noqa: E402
from two_layer_net import TwoLayerNet  # noqa: E402

SECONDS, MEGABYTES = 1.0, 256  # of CPU and of memory that reading a damaged file may take
fork = multiprocessing.get_context("fork")


def peak():
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def in_children(trial, seeds, batch=200):
    """Call trial(seed) for all seeds, a batch in each child process; yields (seed, problem or None).

    The trial returns None or what went wrong. A hang, a crash and too much memory are problems, too.
    """
    seeds = list(seeds)

    def child(sender):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        before = peak()
        for seed in seeds[:batch]:
            problem, megabytes = trial(seed), peak() - before
            sender.send(problem or (f"took {megabytes:.0f} MB" if megabytes > MEGABYTES else None))
            if megabytes > MEGABYTES:  # the peak stays: go on in a new child
                break

    while seeds:
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=child, args=(sender,))
        process.start()
        sender.close()
        done = 0
        try:
            while receiver.poll(30):
                problem = receiver.recv()
                yield seeds[done], problem
                done += 1
            process.kill()
            yield seeds[done], "hung"
            done += 1
        except EOFError:
            process.join()
            if process.exitcode:
                yield seeds[done], f"crashed: exit code {process.exitcode}"
                done += 1
        process.join()
        seeds = seeds[done:]


# ---------------------------------------------------------------------------------------- damaged files

SIZES = (0, 1, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)
SNIPPETS = (b"(", b"]", b"}", b")", b"\x85", b"h\x00", b"cos\nsystem\n", b"e", b"t", b"R", b"b", b"q\xff", b"-",
            b"r\xff\xff\xff\x7f", b"[", b"{", b"9", b"'descr': '|O', ", b"'shape': (9999999999, 99),", b"1e999",
            b"PK\1\2", b"PK\3\4", b"\x1f\x8b\x08", b"\x0e\0\0\0", b"\x0f\0\0\0", b"NaN", b'"')  # fmt: skip


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
        head = gzip.compress(struct.pack(">HBBII", 0, 8, 2, min(size, 2**31), max(1, size // 2**31)))
        return head + ZEROS * rng.choice((0, 4, 64, 256))
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
            b"".join(packer.compress(bytes(2**20)) for _ in range(min(size, 2**29) // 2**20)) + packer.flush()
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


WATCHED = (
    "exec",
    "os.",
    "subprocess.",
    "shutil.",
    "socket.",
    "ctypes.",
    "pickle.find_class",
    "import",
    "pty.",
)
HARMLESS = ("os.listdir", "os.scandir", "os.putenv")


def files(quick):
    trials = 300 if quick else 10_000
    events = None  # what Python reports while a file is read

    def watch(event, arguments):
        if events is not None and (event == "open" or (event.startswith(WATCHED) and event not in HARMLESS)):
            writes = event == "open" and (set(str(arguments[1])) & set("wax+") or arguments[2] & 3)
            if event != "open" or writes:
                events.append(f"{event} {arguments}"[:200])

    b"".decode("raw_unicode_escape")  # pickletools does; the first time imports a module
    sys.addaudithook(watch)
    with tempfile.TemporaryDirectory() as folder:
        for name, path, read, parts, pack in formats(Path(folder)):
            whole = path.read_bytes()
            read(path)  # it can be read, and all is imported that is needed to

            def trial(seed, name=name, path=path, read=read, parts=parts, pack=pack, whole=whole):
                nonlocal events
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
                state, before = np.random.get_state(), sorted(os.listdir(path.parent))
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

            failures = [(seed, problem) for seed, problem in in_children(trial, range(trials)) if problem]
            path.write_bytes(whole)
            yield f"damaged {name}", trials, trials - len(failures), failures


# ---------------------------------------------------------------------------------------- all together

SECTIONS = {"files": files}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION",
                        help=", ".join(SECTIONS))  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a tenth or less of everything")
    options = parser.parse_args()
    table = []
    for section in options.only:
        start = time.monotonic()
        for what, tried, held, failures in SECTIONS[section](options.quick):
            print(f"{section}: {what}: {held} of {tried} held, {time.monotonic() - start:.0f} s", flush=True)
            for failure in failures[:10]:
                print("    trial {}: {}".format(*failure), flush=True)
            table.append((what, tried, held))
    width = max(len(what) for what, _, _ in table)
    print(f"\n{'tried':{width}}{'times':>8}{'held':>8}")
    for what, tried, held in table:
        print(f"{what:{width}}{tried:8}{held:8}{'' if tried == held else '   NOT ALL'}")
    return int(any(tried != held for _, tried, held in table))


if __name__ == "__main__":
    sys.exit(main())
