"""Trials of submissions, by AlgoPerf's rules: what is asked for, and who trains it.

| module | what |
|---|---|
| `run` | a submission on a workload |
| `parcel` | the files of a trial as one piece of bytes |
| `sent` | a trial that was sent, trained by whoever got it |
| `_asked` | what a run is asked for, and whether that can be |
| `_decided` | what its trials are, and whether they go on with what is there |
| `_in_line`, `_elsewhere` | its trials one after the other, and through executors |
"""
