"""Malformed inputs of every kind against every command and reader that takes them: counted by what became of them.

    python -m benchmarks.malformed_inputs                  all of them, some ten minutes
    python -m benchmarks.malformed_inputs --most 20 --seed 1 --kind "list file"

Expected: no garbage, no traceback, no hang, nothing in more than one line. What the columns mean stands in
`benchmarks._malformed_cases.Answer`.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter, defaultdict

from benchmarks import _malformed_cases

MEMORY = 8 * 2**30  # bytes of address space: what asks for more is told so


def main() -> int:
    """Runs the cases and prints what became of them; exit status 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, help="damages per kind of file; default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", help="only these kinds of files")
    parser.add_argument("--taken", action="store_true", help="list what is taken")
    parser.add_argument("--said", action="store_true", help="list the lines, too")
    parser.add_argument(
        "--part", type=_part, default=(0, 1), metavar="K/N", help="only every N-th damage, from 1/N on"
    )
    asked = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    began = time.monotonic()
    unread = 0
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    places: Counter[tuple[str, str]] = Counter()
    example: dict[tuple[str, str], object] = {}
    for case, (outcome, said, _) in _malformed_cases.cases(asked.seed, asked.most, asked.kind, asked.part):
        if case.damage == "valid":
            if outcome != "taken":
                unread += 1
                print(f"a valid {case} is not taken: {outcome}: {said}", flush=True)
            continue
        counts[case.kind][outcome] += 1
        if outcome in _malformed_cases.WRONG:
            places[outcome, said] += 1
            example.setdefault((outcome, said), case)
        if (outcome != "one line" and asked.taken) or asked.said:
            print(f"{outcome}: {case}: {said}", flush=True)
    for (outcome, said), count in places.most_common():
        print(f"{outcome} x {count}: {said}\n    such as {example[outcome, said]}")
    outcomes = (*_malformed_cases.RIGHT, *_malformed_cases.WRONG)
    print(f"{'kind of file':24}", *(f"{name:>10}" for name in outcomes))
    for kind, found in counts.items():
        print(f"{kind:24}", *(f"{found[name]:10}" for name in outcomes))
    total = sum(counts.values(), Counter())
    print(f"{'all ' + str(total.total()):24}", *(f"{total[name]:10}" for name in outcomes))
    print(f"{time.monotonic() - began:.0f} s")
    print(f"garbage taken {total['garbage']}")
    return int(bool(unread or any(total[name] for name in _malformed_cases.WRONG)))


def _part(text: str) -> tuple[int, int]:
    number, of = map(int, text.split("/"))
    return number - 1, of


if __name__ == "__main__":
    sys.exit(main())
