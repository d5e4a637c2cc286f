"""A Ray of several nodes on this machine, which only this machine can reach.

python -m tests.tuning.ray_cluster

A line "add" on standard input adds a node; each node is told in a line, as JSON, with the process id of its raylet. The
cluster ends with standard input. Its environment is the caller's.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from ray.cluster_utils import Cluster

# For tests alone: on a machine that has much to do such times end nodes that are well.
IMPATIENT = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}


def main() -> None:
    """Works until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    resources = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(
        initialize_head=True,
        head_node_args=resources | {"_system_config": IMPATIENT, "include_dashboard": False},
    )
    nodes = [cluster.head_node]
    while True:
        raylet = nodes[-1].all_processes["raylet"][0].process
        print(json.dumps({"address": cluster.address, "raylet": raylet.pid}), file=answers, flush=True)
        # A raylet that nobody waits for is a zombie, and its workers take it for alive.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if not sys.stdin.readline():
            break
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nodes.append(cluster.add_node(**resources))
    os.killpg(0, signal.SIGKILL)  # the nodes have nothing to lose


if __name__ == "__main__":
    main()
