"""One trial on several hosts: the commands that take part, what they tell each other, and how they notice an end.

Every host runs the same command. That of process 0 plans, records and writes; the others train along, in a process per
trial as it does (`submissions.api` says what these agree on), and keep nothing. The commands are joined by a line of
JSON at a time over TCP: what to train, how it ended, that all is over. So a process that dies is noticed by a
connection that ends, at once, and one that stands still by its silence. Nothing here needs JAX but `joined`, which the
process of a trial calls.
"""

from tuning.execution.team._common import Broken, InTrial, Join, Line, Lost, Member, facts, joined
from tuning.execution.team._follower import Follower, FollowerInTrial
from tuning.execution.team._leader import Leader, leading

__all__ = [
    "Broken", "Follower", "FollowerInTrial", "InTrial", "Join", "Leader", "Line", "Lost", "Member", "facts", "joined",
    "leading",
]  # fmt: skip
