"""Jobs on Ray: a worker on each device of this machine, or of all machines of a cluster.

| module | what |
|---|---|
| `executor` | the executor, in the process that coordinates |
| `_process` | the process that speaks to Ray, as that one sees it |
| `_driver` | that process: a worker at every place, a job at a time |
| `_worker` | what does a job, on one device |
| `cores` | which cores a worker takes |
| `_places` | where workers can be, and what they reserve |
| `surroundings` | folder, network and token of a Ray of our own |
| `_messages` | how executor and driver talk |
"""
