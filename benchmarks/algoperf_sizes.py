"""Parameters and operations per step of AlgoPerf's workloads at every scale, for `shortlist workloads` to list.

    python -m benchmarks.algoperf_sizes            # writes workloads/algoperf/sizes.json

Nothing is trained: shapes are traced. A table, because building them all takes minutes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import workloads

FILE = Path(workloads.__file__).parent / "algoperf" / "sizes.json"


def size(name: str) -> dict[str, int]:
    """Parameters, and operations of the matrix products and convolutions of a training step."""
    workload = workloads.load(name)
    return {
        "parameters": workloads.parameter_count(workload),
        "flops_per_step": workloads.flops_per_step(workload),
        "batch_size": workload.batch_size,
        "step_hint": workload.step_hint,
    }


def main() -> None:
    """Measures what is named, or all, and writes the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="of workloads; default: all of AlgoPerf's")
    names = parser.parse_args().names or [name for name in workloads.names() if name.startswith("algoperf/")]
    known = json.loads(FILE.read_text()) if FILE.is_file() else {}
    for name in names:
        known[name] = size(name)
        print(name, known[name], flush=True)
        listed = [name for name in workloads.names() if name in known]
        rows = ",\n ".join(f"{json.dumps(name)}: {json.dumps(known[name])}" for name in listed)
        FILE.write_text("{\n " + rows + "\n}\n")


if __name__ == "__main__":
    main()
