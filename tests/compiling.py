"""Cheap compilation for the whole test session: imported before anything that imports JAX.

Tests compile thousands of small programs that run for milliseconds. LLVM's optimisation would cost more than it saves.
So do XLA's emitters of fused loops that go through MLIR, and cutting each program into parts for many threads: with
these as well, the programs of tests/tuning/test_both_loops.py take 11.5 s of processor time to compile, without 3.7 s.
The same programs are compiled by both workers and by the processes that tests start. All of them inherit these
variables, so that no comparison between processes mixes programs compiled differently. What somebody set is kept.
"""

from __future__ import annotations

import os
import tempfile

FLAGS = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # set already where pytest-xdist started this process
    FOLDER = tempfile.TemporaryDirectory(prefix="shortlist-tests-", ignore_cleanup_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = FOLDER.name
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
