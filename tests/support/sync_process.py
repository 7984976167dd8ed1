"""Rounds of a sync in processes to be killed: one that has all imported, and a fork of it for each line it reads.

It prints the fork's process id, and how the fork ended. Its batches are small, so that each step is reached often.
"""

import json
import os
import sys
from types import SimpleNamespace

from synced_table import SyncedTable

from bus.telemetry import configure_logging
from producers.sync import table
from producers.sync.outcome import RoundKind

configure_logging()  # to standard error
said = json.loads(sys.argv[1])
table.ROWS_TOGETHER = said["rows_together"]
for _ in sys.stdin:
    fork = os.fork()
    if fork == 0:
        synced = SyncedTable(
            SimpleNamespace(**said["endpoints"]), said["url"], folder=said["folder"], agency=said["agency"]
        )
        synced.round(RoundKind.FULL)
        os._exit(0)
    print(fork, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]), flush=True)
