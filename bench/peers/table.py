#!/usr/bin/env python3
"""Medians of what measure.py printed, and how Millrace compares: a table for people, and one for docs/benchmarks.md.

    table.py FILE [--write docs/benchmarks.md]     of an earlier run's JSON lines
"""
import argparse
import datetime
import json
import os
import pathlib
import sys

BEGIN, END = "<!-- peers -->\n", "<!-- end of peers -->"
LESS_IS_BETTER = ("ms", "bytes/job")


def median(values):
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def medians(results):
    """{(workload, processes, unit): {peer: median}}, in the order of the results."""
    values = {}
    for result in results:
        key = (result["workload"], result["processes"], result["unit"])
        values.setdefault(key, {}).setdefault(result["peer"], []).append(result["value"])
    return {key: {peer: median(of_peer) for peer, of_peer in by_peer.items()} for key, by_peer in values.items()}


def name_of(workload, processes):
    return workload + (f", {processes} processes" if processes > 1 else "")


def better(own, other, unit):
    """How many times better the first is."""
    if 0 in (own, other):
        return None
    return other / own if unit in LESS_IS_BETTER else own / other


def times(own, other, unit):
    factor = better(own, other, unit)
    return "" if factor is None else f"{factor:.2f} x"


def text_table(results):
    lines = [f"{'workload':<20}{'peer':<12}{'median':>14}  {'unit':<24}millrace is"]
    for (workload, processes, unit), by_peer in medians(results).items():
        for peer, value in by_peer.items():
            ratio = times(by_peer["millrace"], value, unit) if peer != "millrace" and "millrace" in by_peer else ""
            lines.append(f"{name_of(workload, processes):<20}{peer:<12}{value:>14,.2f}  {unit:<24}{ratio}")
    return "\n".join(lines)


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def markdown_table(results, server, versions):
    """A row a workload, a column a peer; the last column is Millrace to the best of its rivals."""
    peers = list(dict.fromkeys(result["peer"] for result in results))
    rivals = [peer for peer in peers if peer not in ("millrace", "bare")]
    repetitions = max(result["repetition"] for result in results)
    lines = [f"Measured on {datetime.date.today()}, {os.cpu_count()} cores, PostgreSQL {server['server'].split(' ')[0]}, "
             f"{server['jobs']:,} jobs, " + ("one repetition." if repetitions == 1 else f"medians of {repetitions} repetitions."),
             "", "| | " + " | ".join(peers) + " | unit | to the best rival |",
             "|---|" + "---:|" * len(peers) + "---|---:|"]
    for (workload, processes, unit), by_peer in medians(results).items():
        factors = [better(by_peer["millrace"], by_peer[rival], unit) for rival in rivals
                   if "millrace" in by_peer and rival in by_peer]
        factors = [factor for factor in factors if factor is not None]
        lines.append(f"| {name_of(workload, processes)} | " +
                     " | ".join(number(by_peer[peer]) if peer in by_peer else "" for peer in peers) +
                     f" | {unit} | " + (f"{min(factors):.2f} x" if factors else "") + " |")
    lines += [""] + [f"- {peer}: {versions[peer]}" for peer in peers if peer in versions]
    return "\n".join(lines) + "\n"


def write_docs(file, table):
    """Replaces what stands between the two marks of the page, and nothing else of it."""
    page = pathlib.Path(file).read_text()
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"bench/peers: {file} has no place for the table: {BEGIN.strip()} .. {END}")
    pathlib.Path(file).write_text(before + begin + table + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="what bench/peers/run printed on standard output")
    parser.add_argument("--write", metavar="PAGE", help="put the table into this page")
    options = parser.parse_args()
    results, versions, server = [], {}, None
    for line in pathlib.Path(options.file).read_text().splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if "server" in entry:
            server = entry
        elif "version" in entry:
            versions[entry["peer"]] = entry["version"]
        else:
            results.append(entry)
    if not results or server is None:
        raise SystemExit(f"bench/peers: {options.file} has no results of bench/peers/run")
    print(text_table(results))
    if options.write:
        write_docs(options.write, markdown_table(results, server, versions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
