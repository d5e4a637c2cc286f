"""Who trains. Cohorts of a study are jobs that executors move; submissions run in processes of their own.

| module | what |
|---|---|
| `jobs` | what travels to whoever trains a cohort, what comes back, and what can go wrong |
| `making` | jobs made of a study |
| `work` | a job done, in whatever process |
| `executors` | how jobs get there: in line, threads, processes, a shared folder |
| `on_ray` | jobs through Ray: a worker per device of this machine, or of a cluster |
| `slurm` | workers of a shared folder as jobs of Slurm |
| `folder_worker` | what does the jobs of a shared folder |
| `coordinate`, `claims` | every cohort once, whatever is lost and whoever else trains; writes what comes back |
| `seen`, `failures` | what the coordinator saw of its workers, and what went wrong with a job |
| `run` | trials of submissions, by AlgoPerf's rules |
"""
