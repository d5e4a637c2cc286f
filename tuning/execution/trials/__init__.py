"""Trials of submissions, by AlgoPerf's rules: what is asked for, and who trains it.

| module | what |
|---|---|
| `run` | a submission on a workload |
| `_asked` | what a run is asked for, and whether that can be |
| `_decided`, `_run_points`, `_packaged` | what its trials are, and whether they go on with what is there |
| `_in_line`, `_elsewhere` | its trials one after the other, and through executors |
| `_trial_process`, `_trial_main`, `_lifeline` | a trial in a process of its own, seen from either side |
| `_trial_folder`, `record`, `locks` | what lies in a trial's folder, its row, and who may write there |
| `_making`, `sent`, `parcel`, `_store` | a trial as a job: made, trained by whoever got it, packed, and kept |
"""
