# SPDX-License-Identifier: GPL-2.0-or-later
# SPDX-FileCopyrightText: nearmetal contributors
"""What the IOThread statistics cost: patched against stock QEMU.

Runs a QD1 loop on null-co through a virtio-blk device whose IOThread polls
(the same driver with both binaries) and prints

  instructions   of the IOThread per request, counted by callgrind, without
                 polling and with, by the classic policy: no clock is
                 involved, so noise is not either; but how often a poll looks
                 before it finds is taken out roughly, by some per cent
  requests/s     patched / stock, from interleaved pairs of runs: the geometric
                 mean of the pairs' ratios with its 95 % interval
"""
import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .. import base
from ..command import Parser, number
from . import figures

BINARY = "qemu-system-x86_64"
LOAD = "tests/qtest/nearmetal/iothread/nearmetal-iothread-cost"
# Under callgrind one thread runs at a time: a poll must not keep it for long
COUNTED_POLL_NS = 20000000
TIMED_POLL_NS = 1000000000


def die(text):
    sys.exit(f"measure-cost: error: {text}")


def run_load(load, binary, requests, poll_max_ns, wrapper=""):
    """Runs the load on @binary; returns nanoseconds per request."""
    env = dict(os.environ, QTEST_QEMU_BINARY=f"{wrapper} {binary}".strip())
    if wrapper:
        # callgrind counts a "rep stosb" once for each byte
        env["GLIBC_TUNABLES"] = "glibc.cpu.x86_rep_stosb_threshold=100000000"
    res = subprocess.run([load, "-n", str(requests), "-p", str(poll_max_ns)],
                         env=env, capture_output=True, text=True, check=False)
    match = re.search(r"^(\d+) (\d+)$", res.stdout, re.M)
    if res.returncode or not match:
        die(f"the load failed on {binary}: "
            f"{(res.stderr.strip().splitlines() or ['no message'])[-1]}")
    return int(match[2]) / int(match[1])


def iothread_profile(load, binary, requests, poll_max_ns):
    """Instructions of the IOThread, and how often its polls looked in vain."""
    with tempfile.TemporaryDirectory() as tmp:
        wrapper = ("valgrind --tool=callgrind --separate-threads=yes "
                   f"--fair-sched=try --callgrind-out-file={tmp}/out")
        run_load(load, binary, requests, poll_max_ns, wrapper)
        for path in Path(tmp).glob("out-*"):
            text = path.read_text(errors="replace")
            if re.search(r"fn=\(\d+\) iothread_run", text):
                total = int(re.search(r"^totals: (\d+)", text, re.M)[1])
                return total, count_calls(text, "aio_poll_disabled")
    die("callgrind's output has no thread that runs iothread_run")


def count_calls(text, function):
    """Calls of @function in a profile, whose names are given just once."""
    number = re.search(rf"fn=\((\d+)\) {function}$", text, re.M)
    if not number:
        return 0
    calls = re.findall(rf"^cfn=\({number[1]}\).*\ncalls=(\d+)", text, re.M)
    return sum(map(int, calls))


def least_squares(rows, values):
    """Coefficients x that bring rows . x nearest to values."""
    n = len(rows[0])
    system = [[sum(r[i] * r[j] for r in rows) for j in range(n)] +
              [sum(r[i] * v for r, v in zip(rows, values))] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(system[k][i]))
        system[i], system[pivot] = system[pivot], system[i]
        for k in range(n):
            if k != i:
                factor = system[k][i] / system[i][i]
                system[k] = [a - factor * b
                             for a, b in zip(system[k], system[i])]
    return [system[i][n] / system[i][i] for i in range(n)]


def per_request(args, binary, poll_max_ns):
    """Instructions a request costs the IOThread.

    How often a poll looks before it finds depends on the machine's mood.  With
    the looks counted, a fit over runs of several lengths takes them and the
    start-up out: total = requests * x + looks * y + z.
    """
    rows, totals = [], []
    for i in range(args.runs):
        requests = 2000 * (1 + i % 4)
        total, looks = iothread_profile(args.load, binary, requests,
                                        poll_max_ns)
        rows.append([requests, looks, 1] if poll_max_ns else [requests, 1])
        totals.append(total)
    return least_squares(rows, totals)[0]


def measure_instructions(args):
    result = {}
    for name, poll_max_ns in (("polling", COUNTED_POLL_NS), ("polling off", 0)):
        print(f"counting instructions, {name} ...", file=sys.stderr)
        stock = per_request(args, args.stock, poll_max_ns)
        patched = per_request(args, args.patched, poll_max_ns)
        result[name] = {"stock": round(stock, 1), "patched": round(patched, 1),
                        "percent": round(100 * (patched / stock - 1), 2)}
    return result


def measure_speed(args):
    ratios, rates = [], {"stock": [], "patched": []}
    for i in range(args.pairs):
        print(f"\rtiming pair {i + 1} of {args.pairs} ...", end="",
              file=sys.stderr, flush=True)
        order = ["stock", "patched"] if i % 2 else ["patched", "stock"]
        ns = {name: run_load(args.load, getattr(args, name), args.requests,
                             TIMED_POLL_NS) for name in order}
        ratios.append(math.log(ns["stock"] / ns["patched"]))
        for name in order:
            rates[name].append(1e6 / ns[name])
    print(file=sys.stderr)
    mean, half = figures.interval(ratios)
    if math.isinf(half):
        half = 0.0
    return {"pairs": args.pairs, "requests": args.requests,
            "stock_kiops": round(statistics.median(rates["stock"]), 1),
            "patched_kiops": round(statistics.median(rates["patched"]), 1),
            "ratio": round(math.exp(mean), 4),
            "interval": [round(math.exp(mean - half), 4),
                         round(math.exp(mean + half), 4)]}


def print_tables(result):
    if "instructions" in result:
        print(f"{'instructions/request':<22}{'stock':>10}{'patched':>10}"
              f"{'more':>9}")
        for name, row in result["instructions"].items():
            print(f"{name:<22}{row['stock']:>10}{row['patched']:>10}"
                  f"{row['percent']:>8} %")
    if "speed" in result:
        s = result["speed"]
        print(f"\n{'kIOPS, median':<22}{s['stock_kiops']:>10}"
              f"{s['patched_kiops']:>10}")
        print(f"patched / stock {s['ratio']} (95 % interval {s['interval'][0]} "
              f"to {s['interval'][1]}, {s['pairs']} interleaved pairs of "
              f"{s['requests']} requests)")


def parse_args():
    parser = Parser(
        prog="measure-cost", allow_abbrev=False, description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
        epilog="needs scripts/build, scripts/build --stock and valgrind;\n"
               "an idle machine with two CPUs")
    base.add_option(parser)
    obj = Path(base.build_dir("obj"))
    parser.add_argument("--patched", default=str(obj / BINARY))
    parser.add_argument("--stock",
                        default=base.build_dir("stock-obj", BINARY))
    parser.add_argument("--load", default=str(obj / LOAD),
                        help="the load (default: built from tests/qtest)")
    parser.add_argument("--pairs", type=number(int, 1, 10 ** 9),
                        default=15,
                        help="pairs of timed runs (default 15)")
    parser.add_argument("--requests", type=number(int, 1, 10 ** 9),
                        default=300000,
                        help="requests of a timed run (default 300000)")
    parser.add_argument("--runs", type=number(int, 4, 10 ** 9),
                        default=8,
                        help="callgrind runs of each kind, 4 or more "
                             "(default 8)")
    parser.add_argument("--only", choices=["instructions", "speed"])
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main():
    args = parse_args()
    if args.load == base.build_dir("obj", LOAD):
        subprocess.run(["ninja", "-C", base.build_dir("obj"), LOAD],
                       check=False, stdout=subprocess.DEVNULL)
    for name in ("patched", "stock", "load"):
        if not os.access(getattr(args, name), os.X_OK):
            die(f"{getattr(args, name)} is missing: run scripts/build"
                + (" --stock" if name == "stock" else ""))
    result = {}
    if args.only != "speed":
        result["instructions"] = measure_instructions(args)
    if args.only != "instructions":
        result["speed"] = measure_speed(args)
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        print_tables(result)
