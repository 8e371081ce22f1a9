# SPDX-License-Identifier: BSD-2-Clause
"""Boots boards in the simulator and holds the result of `cma run --json` against its promises."""
import json
import os
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import compare
import dts
import oracle

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEAST_BOARDS = 20
LEAST_LENT = 0.95
MOST_RESIDENT = 3 << 30
MOST_MEMORY = 2 << 30
SECONDS = 900
# Each board runs twice: as it is meant to be used, and so full of data that has to be kept that some
# requests are refused, for only a refusal puts the naive scan to the test.
LOADS = (("usual", []), ("tight", ["--fill", "100", "--droppable", "2", "--seconds", "1"]))


class Finished:
    """How a child ended: exit code, what it wrote, and the most memory it ever had resident."""

    def __init__(self, command):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(command, stdout=out, stderr=errors,
                                     stdin=subprocess.DEVNULL)
            self.timed_out = threading.Event()
            timer = threading.Timer(SECONDS, self.stop, [child])
            timer.start()
            _, status, usage = os.wait4(child.pid, 0)
            timer.cancel()
            self.code = os.waitstatus_to_exitcode(status)
            child.returncode = self.code
            self.resident = usage.ru_maxrss * 1024
            out.seek(0)
            errors.seek(0)
            self.out = out.read().decode("utf-8", "replace")
            self.errors = errors.read().decode("utf-8", "replace")

    def stop(self, child):
        self.timed_out.set()
        child.kill()


def read_list():
    """[(tree, options, reason)]"""
    boards = []
    name = os.path.join(TOP, "tests", "boards", "run.txt")
    with open(name, encoding="utf-8") as lines:
        for at, line in enumerate(lines, 1):
            if line.startswith("#") or not line.strip():
                continue
            fields = [field.strip() for field in line.rstrip("\n").split("|")]
            if len(fields) != 3 or not fields[2]:
                raise SystemExit("%s:%d: not `tree | options | reason`" % (name, at))
            boards.append((fields[0], fields[1].split(), fields[2]))
    return boards


def size_of(text):
    number = text.split("@")[0]
    scale = {"K": 10, "M": 20, "G": 30}.get(number[-1:].upper())
    return int(number[:-1], 0) << scale if scale else int(number, 0)


def memory_of(path, options):
    """How much memory the board has: what the options say, else what its tree says."""
    given = [size_of(options[at + 1]) for at, word in enumerate(options) if word == "--memory"]
    if given:
        return sum(given)
    root, _ = dts.read(path)
    filled, memory = oracle.fill(root)
    if filled:
        raise ValueError("the tree states no memory, so the list needs a --memory for it")
    return sum(size for _, size in memory)


def faults_of(result, done):
    """What is wrong with a run that ended, as texts."""
    faults = []
    if result["bytes_lost"] != 0:
        faults.append("%s bytes lost" % result["bytes_lost"])
    if result.get("oracle_disagreements", 0) != 0:
        faults.append("%s refusals where the naive scan finds a window" %
                      result["oracle_disagreements"])
    if result["lent_share"] < LEAST_LENT:
        faults.append("lent_share %.4f is under %.2f" % (result["lent_share"], LEAST_LENT))
    if result["requests"] != result["succeeded"] + result["failed"]:
        faults.append("requests are not the sum of succeeded and failed")
    if result["requests"] == 0:
        faults.append("no request was made, so nothing was shown")
    if done.resident >= MOST_RESIDENT:
        faults.append("%d MiB resident" % (done.resident >> 20))
    return faults


def run_one(tool, boards, tree, options, load):
    """Returns (the line to print, the faults, whether the oracle's scan was reported, how many
    refusals it agreed with)."""
    path = os.path.join(boards, tree)
    if not os.path.isfile(path):
        return tree, ["the tree is not there"], False, 0
    try:
        if memory_of(path, options) > MOST_MEMORY:
            return tree, ["more than 2 GiB of memory; the list needs a --memory"], False, 0
    except ValueError as error:
        return tree, [str(error)], False, 0
    arch = ["--arch", "arm"] if tree.startswith("armhf/") else []
    command = [tool, "run", "--json"] + arch + options + load[1] + [path]
    done = Finished(command)
    if done.timed_out.is_set():
        return tree, ["no end after %d s: %s" % (SECONDS, " ".join(command))], False, 0
    if done.code != 0:
        return tree, ["exit %d: %s: %s" % (done.code, " ".join(command),
                                           done.errors[-600:].strip())], False, 0
    try:
        result = json.loads(done.out)
        faults = faults_of(result, done)
        latency = result["latency_us"]
        line = "%s: %s: %d requests, %d failed, lent %.4f, %d copied, %d dropped, p99 %s us, " \
               "%d MiB resident" % (tree, load[0], result["requests"], result["failed"],
                                    result["lent_share"], result["pages_copied"],
                                    result["pages_dropped"], latency["p99"],
                                    done.resident >> 20)
        for failure in result["failures"]:
            line += "; refused: " + compare.show(failure["reason"])
    except (KeyError, ValueError, TypeError) as error:
        return tree, ["the JSON is not of the promised form: %s %s" %
                      (type(error).__name__, error)], False, 0
    return line, faults, "oracle_disagreements" in result, result["failed"]


def check_runs(tool, options, say):
    """Returns the number of failures."""
    listed = read_list()
    if len(listed) < LEAST_BOARDS:
        say("FAIL run: the list has fewer than %d boards" % LEAST_BOARDS)
        return 1
    # Where a package could not be fetched, the check is already SKIPPED in part.
    boards = [board for board in listed if options.only in board[0] and
              os.path.isdir(os.path.join(options.boards, board[0].split("/")[0]))]
    failures = scanned = refused = 0
    runs = [(board, load) for board in boards for load in LOADS]
    with ThreadPoolExecutor(options.jobs) as pool:
        results = pool.map(lambda run: run_one(tool, options.boards, run[0][0], run[0][1], run[1]),
                           runs)
        for line, faults, scan, refusals in results:
            say("  run " + line)
            scanned += 1 if scan else 0
            refused += refusals
            for fault in faults:
                failures += 1
                say("FAIL run %s: %s" % (line.split(":")[0], fault))
    if scanned < len(runs):
        # A promise that the tool does not report is a promise that is not checked.
        failures += 1
        say("FAIL run: %d of %d runs do not report oracle_disagreements" %
            (len(runs) - scanned, len(runs)))
    if runs and refused == 0 and not options.only:
        failures += 1
        say("FAIL run: no request was refused anywhere, so the naive scan was never asked")
    say("run: %d boards, each under %d loads, %d refusals put to the naive scan, %s" %
        (len(boards), len(LOADS), refused, "all hold" if failures == 0 else
         "%d FAILURES" % failures))
    return failures
