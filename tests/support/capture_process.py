"""Captures in processes to be killed: one that has everything imported, and a fork of it for each line it reads.

It prints the fork's process id, and how the fork ended. Little is read at once, so that each step is reached often.
"""

import json
import os
import sys
from types import SimpleNamespace

from captured_table import CapturedTable

from producers.capture import topic

said = json.loads(sys.argv[1])
topic.MESSAGES_TOGETHER = said["messages_together"]
for _ in sys.stdin:
    fork = os.fork()
    if fork == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is printed here is read as our own
        captured = CapturedTable(
            SimpleNamespace(**said["endpoints"]), said["folder"], topic=said["topic"], agency=said["agency"]
        )
        captured.capture()
        os._exit(0)
    print(fork, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]), flush=True)
