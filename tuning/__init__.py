"""With which hyperparameters: search spaces, strategies, the engine that trains, and studies on disk.

| module | room |
|---|---|
| `tuning.spaces` | search spaces, AlgoPerf's `tuning_search_space.json` |
| `tuning.halton` | AlgoPerf's quasi-random points |
| `tuning.strategies` | where points come from: ask and tell |
| `tuning.vizier` | the Gaussian-process bandit, in a process of its own |
| `tuning.population` | the engine: many trials as one compiled program |
| `tuning.studies` | what was asked and what happened, as a folder |
| `tuning.tune` | runs a study, or what is missing of it |
| `tuning.targets` | the procedure that sets validation targets |

Modules are imported by name: only `population`, `tune` and `targets` need JAX, and reading a study must not.
"""
