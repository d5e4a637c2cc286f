"""Who trains. Cohorts of a study and trials of submissions are jobs that executors move.

| module | what |
|---|---|
| `jobs` | what travels to whoever trains, what comes back, and what can go wrong |
| `making` | jobs made of a study |
| `work` | a job done, in whatever process |
| `executors` | how jobs get there: in line, threads, processes, a shared folder, Ray |
| `coordinate`, `claims` | every job once, whatever is lost and whoever else trains |
| `keeping` | where that is kept which comes back |
| `seen`, `failures` | what the coordinator saw of its workers, and what went wrong with a job |
| `trials` | trials of submissions, by AlgoPerf's rules |
"""
