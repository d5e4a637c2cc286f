"""Who trains. Cohorts of a study are jobs that executors move; submissions run in processes of their own.

| module | what |
|---|---|
| `jobs` | what travels to whoever trains a cohort, and what comes back |
| `work` | a job done, in whatever process |
| `executors` | how jobs get there: threads, processes |
| `coordinate`, `claims` | every cohort once, whatever is lost and whoever else trains |
| `run` | trials of submissions, by AlgoPerf's rules |
"""
