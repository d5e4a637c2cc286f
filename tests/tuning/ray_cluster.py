"""A node of a Ray that only this machine can reach, as `ray start --block` has it, which would not join such a one.

python -m tests.tuning.ray_cluster IP [ADDRESS]

IP is its own. Without an address it is the first node of a cluster. It tells the cluster's address and its raylet's
process id in a line of JSON. SIGTERM drains the node and ends it; so does the end of standard input, at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading

from ray._private.node import Node
from ray._private.parameter import RayParams

# For tests alone: on a machine that has much to do such times end nodes that are well.
IMPATIENT = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}
SECONDS = (
    3 * (1 + 2) + 1
)  # within which a silent node is noticed: of these, and of the driver's look at the nodes


def main() -> None:
    """Is a node until it is told to end."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ip, address, *_ = *sys.argv[1:], None
    node = Node(
        RayParams(
            gcs_address=address,
            redis_address=address,
            node_ip_address=ip,
            num_cpus=1,
            object_store_memory=80 << 20,
            include_dashboard=False,
            include_log_monitor=address is None,
            node_manager_port=0,
            min_worker_port=0,
            max_worker_port=0,
            dashboard_agent_listen_port=None,
            _system_config=IMPATIENT if address is None else None,
        ),
        head=address is None,
        shutdown_at_exit=True,
        spawn_reaper=True,
    )
    raylet = node.all_processes["raylet"][0].process
    # A raylet that nobody waits for is a zombie, and its workers take it for alive.
    threading.Thread(target=raylet.wait, daemon=True).start()
    print(json.dumps({"address": node.gcs_address, "raylet": raylet.pid}), file=answers, flush=True)
    threading.Thread(target=end_with_input, daemon=True).start()
    while True:
        signal.pause()


def end_with_input() -> None:
    """Ends all processes of the node: it has nothing to lose."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
