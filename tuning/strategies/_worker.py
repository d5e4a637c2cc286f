"""A process that makes suggestions: one request a line on stdin, one answer a line on stdout, both JSON.

`python -m tuning.strategies._worker MODULE`, where the module has `suggest(**request)`, a function of its arguments
alone. It is imported by the first request, so that what it needs and lacks is an answer too. An answer is
{"hyperparameters": {...}}, {"missing": ...} or {"error": ...}, with what it took this process since the answer before,
its start included, as "cpu_seconds".
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys


def main(module: str) -> None:
    """Answers requests until stdin ends, which it does when the parent ends, however that happens."""
    # Libraries print to stdout; only answers may go where the parent reads.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    before = 0.0
    for line in sys.stdin:
        try:
            answer = {"hyperparameters": importlib.import_module(module).suggest(**json.loads(line))}
        except ImportError as error:
            answer = {"missing": str(error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        used = resource.getrusage(resource.RUSAGE_SELF)
        now = used.ru_utime + used.ru_stime
        print(json.dumps(answer | {"cpu_seconds": round(now - before, 3)}), file=answers, flush=True)
        before = now


if __name__ == "__main__":
    main(sys.argv[1])
