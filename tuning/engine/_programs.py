"""Compiled programs, shared by all populations of a process that need the same one.

A population asks for its program by a key that says everything about it but its arrays. Two populations of one key
compile once, also when their threads ask at the same moment; programs of different keys compile side by side. A
program lives as long as a population that uses it.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import jax

# On a CPU, LLVM's full optimisation of these long programs takes minutes and gains nothing: the time goes into
# matrix products, which are library calls. Level 1 compiled a convolutional population 10 times faster than the
# default, to a program that was no slower (benchmarks/population.py).
CPU_COMPILER_OPTIONS: dict[str, str | bool] = {"xla_backend_optimization_level": "1"}
# The older emitters of fused loops. They compile a program of many small loops, as learned optimizers are, in half the
# time, to one that is as fast; a recurrent network ran a quarter slower by them.
OF_MANY_LOOPS: dict[str, str | bool] = {"xla_cpu_use_fusion_emitters": False}


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """One compiled program.

    Attributes:
      call: the executable.
      compile_seconds: what tracing and compiling took; little where XLA's persistent cache had it.
    """

    call: Callable[..., Any]
    compile_seconds: float


Compile = Callable[..., Program]  # as `program`, but for whether it compiled

_LOCK = threading.Lock()
_PROGRAMS: weakref.WeakValueDictionary[Hashable, Program] = weakref.WeakValueDictionary()
_COMPILING: weakref.WeakValueDictionary[Hashable, _Turn] = weakref.WeakValueDictionary()


class _Turn:
    """A lock that can be referenced weakly: it is gone when nobody waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


def program(
    key: Hashable,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    donate: tuple[int, ...] = (),
    *,
    many_loops: bool = False,
) -> tuple[Program, bool]:
    """The program of a key, and whether this call compiled it.

    Args:
      key: equal for functions that compute the same of their arrays. Names and shapes of the arguments are added.
      function: what to compile where nobody has.
      arguments: arrays, or their shapes and types.
      donate: numbers of arguments whose memory the results may take.
      many_loops: it is a learned optimizer's; equal for equal keys.
    """
    leaves, structure = jax.tree.flatten(arguments)
    key = (key, donate, structure, tuple((x.shape, str(x.dtype)) for x in leaves))
    with _LOCK:
        turn = _COMPILING.setdefault(key, _Turn())
    with turn.lock:
        there = _PROGRAMS.get(key)
        if there is not None:
            return there, False
        began = time.perf_counter()
        options = compiler_options(many_loops)
        compiled = (
            jax.jit(function, donate_argnums=donate).lower(*arguments).compile(compiler_options=options)
        )
        made = Program(compiled, time.perf_counter() - began)
        with _LOCK:
            _PROGRAMS[key] = made
        return made, True


def compiler_options(many_loops: bool) -> dict[str, str | bool] | None:
    """XLA's, on this machine's device."""
    if jax.default_backend() != "cpu":
        return None
    return CPU_COMPILER_OPTIONS | OF_MANY_LOOPS if many_loops else CPU_COMPILER_OPTIONS
