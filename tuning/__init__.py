"""With which hyperparameters, and how trials are executed.

| folder | what |
|---|---|
| `tuning.strategies` | where points come from: ask and tell; one file a strategy |
| `tuning.engine` | many trials as one compiled program |
| `tuning.studies` | a study planned, and what is missing of it trained |
| `tuning.protocols` | papers' protocols: stages at a scale |
| `tuning.execution` | who trains: jobs, executors, claims; trials of submissions, a process each |
| `tuning.conformance` | a kit of checks for workloads of one's own |
| `tuning.targets` | the procedure that sets validation targets |

Modules are imported by name: the engine, `tuning.conformance`, `tuning.studies.tune`, `tuning.protocols.run` and
`tuning.targets` need JAX, and planning must not.
"""
