#!/usr/bin/env python3
"""Runs the workloads of bench/peers on one PostgreSQL and prints a JSON line per result. bench/peers/run calls it.

Every figure's run is checked first: each job's handler ran exactly once, and the database holds no unfinished job.
"""
import argparse
import array
import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
import urllib.parse

import table

WAITING = (100_000, 1_000_000)  # so many jobs wait while some are worked
FROM, TO = 10_000, 60_000  # handlers that have run when that rate is taken, and until when
LATENCY_JOBS, WARM_UP_JOBS, LATENCY_INTERVAL_MS = 2_000, 200, 5
PATIENCE = 900  # seconds without which nothing that works can need

# SQL: how many jobs are unfinished, and how many finished ones the peer has kept (None: it keeps none).
# Awa's storage is no single table: its worker answers for it.
COUNTS = {
    "millrace": ("SELECT count(*) FROM millrace.job", "SELECT count(*) FROM millrace.job_history WHERE state = 5"),
    "bare": ("SELECT count(*) FROM millrace.job", "SELECT count(*) FROM millrace.job_history WHERE state = 5"),
    "graphile": ("SELECT count(*) FROM graphile_worker._private_jobs", None),
    "pgboss": ("SELECT count(*) FROM pgboss.job WHERE state < 'completed' AND name = 'noop'",
               "SELECT count(*) FROM pgboss.job WHERE state = 'completed' AND name = 'noop'"),
    "river": ("SELECT count(*) FROM river_job WHERE finalized_at IS NULL",
              "SELECT count(*) FROM river_job WHERE state = 'completed'"),
    "awa": (None, None),
}
WITHOUT_LATENCY = {"bare"}


class Failure(Exception):
    """A run that gives no figure, and why."""


class Sql:
    """One psql session."""

    def __init__(self, url):
        self.process = subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url], text=True,
                                        env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"},
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, statement):
        """What the statement returns, as text."""
        self.process.stdin.write(f"{statement};\n\\echo --end\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line.rstrip("\n") == "--end":
                return "\n".join(lines)
            lines.append(line.rstrip("\n"))
        raise Failure(f"the database refused: {statement}")

    def number(self, statement):
        return int(self.run(statement))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    def __init__(self, name, command):
        self.name, self.command = name, command
        self.folder = os.path.dirname(command[-1])

    def start(self, url, *words, **pipes):
        return subprocess.Popen([*self.command, *map(str, words)], cwd=self.folder, text=True,
                                env={**os.environ, "DATABASE_URL": url}, **pipes)

    def call(self, url, *words):
        """Runs the program to its end; its last line."""
        process = self.start(url, *words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as late:
            process.kill()
            raise Failure(f"{words[0]} did not end within {PATIENCE} s") from late
        if process.returncode != 0:
            raise Failure(f"{words[0]} ended with status {process.returncode}")
        return output.strip().rsplit("\n", 1)[-1]


class Workers:
    """Processes of one peer that work at the same time."""

    def __init__(self, peer, url, processes, jobs, workload, folder):
        self.files = [os.path.join(folder, f"worker{i}") for i in range(processes)]
        self.jobs, self.deadline = jobs, time.monotonic() + PATIENCE
        self.selector, self.stopped = selectors.DefaultSelector(), set()
        self.counts, self.buffers, self.processes = [0] * processes, [b""] * processes, []
        for i, file in enumerate(self.files):
            process = peer.start(url, "work", jobs, file, workload, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.processes.append(process)
            self.selector.register(process.stdout.buffer.raw, selectors.EVENT_READ, i)

    def tell(self, word):
        for process in self.processes:
            process.stdin.write(word + "\n")
            process.stdin.flush()

    def lines(self):
        """Lines as they come, with the worker's number; counts are kept."""
        while True:
            events = self.selector.select(max(0, self.deadline - time.monotonic()))
            if not events:
                raise Failure(f"{sum(self.counts)} of {self.jobs} jobs ran within {PATIENCE} s")
            for key, _ in events:
                data = os.read(key.fileobj.fileno(), 1 << 16)
                if not data and key.data in self.stopped:
                    self.selector.unregister(key.fileobj)
                    continue
                if not data:
                    raise Failure(f"a worker ended, {sum(self.counts)} of {self.jobs} jobs had run")
                *whole, self.buffers[key.data] = (self.buffers[key.data] + data).split(b"\n")
                for line in whole:
                    word, _, rest = line.decode().partition(" ")
                    if word in ("count", "stopped"):
                        self.counts[key.data] = int(rest)
                    if word == "stopped":
                        self.stopped.add(key.data)
                    yield key.data, word, rest

    def wait_for_all(self, wanted):
        missing = set(range(len(self.processes)))
        for worker, word, _ in self.lines():
            if word == wanted:
                missing.discard(worker)
            if not missing:
                return

    def wait_for_count(self, count=None):
        for _ in self.lines():
            if sum(self.counts) >= (count or self.jobs):
                return

    def ask_left(self):
        self.processes[0].stdin.write("left\n")
        self.processes[0].stdin.flush()
        for _, word, rest in self.lines():
            if word == "left":
                return int(rest)

    def stop(self):
        """Lets them finish; what ran when, as pairs (time, number) by time."""
        self.tell("stop")
        self.wait_for_all("stopped")
        ran = []
        for process, file in zip(self.processes, self.files):
            if process.wait(timeout=60) != 0:
                raise Failure(f"a worker ended with status {process.returncode}")
            ran += read_timeline(file)
        return sorted(ran)

    def kill(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def read_timeline(file):
    values = array.array("d")
    with open(file, "rb") as source:
        values.frombytes(source.read())
    return list(zip(values[1::2], map(int, values[0::2])))


def check_once(ran, jobs):
    """Each number from 0 to jobs ran exactly once."""
    numbers = [number for _, number in ran]
    if len(numbers) != jobs or set(numbers) != set(range(jobs)):
        missing = len(set(range(jobs)) - set(numbers))
        raise Failure(f"{len(numbers)} handlers ran for {jobs} jobs: {missing} jobs never, "
                      f"{len(numbers) - len(set(numbers))} again")


class Bench:
    def __init__(self, server_url, jobs, workloads, report):
        self.server_url, self.jobs, self.workloads, self.report = server_url, jobs, workloads, report
        self.server = Sql(server_url)

    @contextlib.contextmanager
    def database(self, peer):
        """A new database with the peer's schema in it: (its url, a session there). Dropped in the end."""
        name = f"millrace_peers_{os.getpid()}_{peer.name}"
        self.server.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.server.run(f"CREATE DATABASE {name}")
        parts = urllib.parse.urlsplit(self.server_url)
        # urlunsplit would drop the empty host of a URL that names a socket.
        url = f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")
        peer.call(url, "setup")
        # So that none comes while jobs are worked, and pages are logged whole when jobs are enqueued, not when they end.
        self.server.run("CHECKPOINT")
        session = Sql(url)
        try:
            yield url, session
        finally:
            session.close()
            self.server.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def fill(self, peer, url, session, jobs=None):
        """Enqueues jobs, all unless told how many; jobs per second."""
        jobs = jobs or self.jobs
        word, _, seconds = peer.call(url, "enqueue", jobs).partition(" ")
        if word != "seconds":
            raise Failure(f"enqueue said '{word}'")
        left = COUNTS[peer.name][0]
        if left and session.number(left) != jobs:
            raise Failure(f"{session.number(left)} jobs wait, not {jobs}")
        # What autovacuum would have done within the minute.
        session.run("ANALYZE")
        return jobs / float(seconds)

    def drain(self, peer, url, session, processes, workload="drain"):
        """Works everything off: (jobs per second, WAL bytes per job, what ran when)."""
        left, kept = COUNTS[peer.name]
        with tempfile.TemporaryDirectory() as folder:
            workers = Workers(peer, url, processes, self.jobs, workload, folder)
            try:
                workers.wait_for_all("ready")
                before = session.run("SELECT pg_current_wal_lsn()")
                workers.tell("go")
                workers.wait_for_count()
                # An answer of 0 is true from when it was asked for at the latest.
                while True:
                    end = time.time()
                    if (session.number(left) if left else workers.ask_left()) == 0:
                        break
                    if time.monotonic() > workers.deadline:
                        raise Failure("every handler ran, but jobs are unfinished")
                wal = session.number(f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn")
                ran = workers.stop()
            finally:
                workers.kill()
        check_once(ran, self.jobs)
        if kept and session.number(kept) != self.jobs:
            raise Failure(f"{session.number(kept)} jobs are kept as completed, not {self.jobs}")
        return self.jobs / (max(end, ran[-1][0]) - ran[0][0]), wal / self.jobs, ran

    def measure_drains(self, peer, repetition):
        for processes in (1, 2):
            with self.database(peer) as (url, session):
                enqueued = self.fill(peer, url, session)
                if processes == 1:
                    self.report(peer, "enqueue", 1, enqueued, "jobs/s", repetition)
                rate, wal, _ = self.drain(peer, url, session, processes)
                self.report(peer, "drain", processes, rate, "jobs/s", repetition)
                if processes == 1:
                    self.report(peer, "wal", 1, wal, "bytes/job", repetition)

    def measure_snapshot(self, peer, repetition):
        """As drain, while a transaction holds back what may be cleaned up."""
        with self.database(peer) as (url, session):
            self.fill(peer, url, session)
            holder = Sql(url)
            try:
                holder.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
                holder.run("SELECT count(*) FROM pg_class")
                rate, _, _ = self.drain(peer, url, session, 1, "snapshot")
                holder.run("COMMIT")
            finally:
                holder.close()
        self.report(peer, "snapshot", 1, rate, "jobs/s", repetition)

    def measure_waiting(self, peer, repetition):
        """The rate at which jobs are finished while many more wait."""
        left, _ = COUNTS[peer.name]
        for waiting in WAITING:
            with self.database(peer) as (url, session), tempfile.TemporaryDirectory() as folder:
                self.fill(peer, url, session, waiting)
                workers = Workers(peer, url, 1, waiting, "waiting", folder)
                try:
                    workers.wait_for_all("ready")
                    workers.tell("go")
                    marks = []
                    for count in (FROM, TO):
                        workers.wait_for_count(count)
                        marks.append((time.time(), session.number(left) if left else workers.ask_left()))
                finally:
                    workers.kill()
            (began, before), (ended, after) = marks
            self.report(peer, f"waiting.{waiting}", 1, (before - after) / (ended - began), "jobs/s", repetition)

    def measure_latency(self, peer, repetition):
        total = LATENCY_JOBS + WARM_UP_JOBS
        with self.database(peer) as (url, _), tempfile.TemporaryDirectory() as folder:
            workers = Workers(peer, url, 1, total, "latency", folder)
            try:
                workers.wait_for_all("ready")
                workers.tell("go")
                called_file = os.path.join(folder, "called")
                peer.call(url, "produce", total, LATENCY_INTERVAL_MS, called_file)
                workers.wait_for_count()
                ran = workers.stop()
            finally:
                workers.kill()
            called = {number: at for at, number in read_timeline(called_file)}
        check_once(ran, total)
        waits = sorted(1e3 * (at - called[number]) for at, number in ran if number >= WARM_UP_JOBS)
        for share in (50, 95, 99):
            self.report(peer, f"latency.p{share}", 1, waits[(len(waits) - 1) * share // 100], "ms", repetition)

    def measure(self, peer, repetition):
        """All workloads; whether every one gave figures."""
        good = True
        steps = {"drain": self.measure_drains, "snapshot": self.measure_snapshot, "latency": self.measure_latency,
                 "waiting": self.measure_waiting}
        if peer.name in WITHOUT_LATENCY:
            del steps["latency"]
        for step in [step for name, step in steps.items() if name in self.workloads]:
            try:
                step(peer, repetition)
            except Failure as failure:
                print(f"bench/peers: {peer.name}: {step.__name__}: {failure}", file=sys.stderr)
                good = False
        return good


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--repetitions", type=int, required=True)
    parser.add_argument("--workloads", required=True, help="separated by commas")
    parser.add_argument("--write", metavar="PAGE", help="put the table into this page")
    parser.add_argument("peers", nargs="+", help="NAME=PROGRAM [ARGUMENT..], separated by spaces")
    options = parser.parse_args()
    peers = [Peer(name, command.split(" ")) for name, command in (text.split("=", 1) for text in options.peers)]
    results = []

    def report(peer, workload, processes, value, unit, repetition):
        result = {"peer": peer.name, "workload": workload, "processes": processes, "value": round(value, 3),
                  "unit": unit, "repetition": repetition}
        results.append(result)
        print(json.dumps(result), flush=True)

    bench = Bench(options.database, options.jobs, options.workloads.split(","), report)
    server = {"server": bench.server.run("SHOW server_version"), "jobs": options.jobs}
    print(json.dumps(server), flush=True)
    versions = {peer.name: peer.call(options.database, "version") for peer in peers}
    for name, version in versions.items():
        print(json.dumps({"peer": name, "version": version}), flush=True)
    good = True
    for repetition in range(1, options.repetitions + 1):
        # Whoever is first finds the machine in another state: each has its turn.
        turn = (repetition - 1) % len(peers)
        for peer in peers[turn:] + peers[:turn]:
            good = bench.measure(peer, repetition) and good
    print("\n" + table.text_table(results), file=sys.stderr)
    if options.write and results:
        table.write_docs(options.write, table.markdown_table(results, server, versions))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
