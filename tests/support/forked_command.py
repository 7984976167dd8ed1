"""`yekbar publish` in processes that are forked ready, so that many can be killed in little time.

Reads a line of arguments in JSON, answers with the process's id, and then with how it ended. Files are read in small
parts, so that a kill finds something between two of them.
"""

import json
import os
import sys

from deploy.cli import main, publish  # what the command would import, before any process is forked
from producers import files

assert publish.app
files.ROWS_TOGETHER = 200

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.argv = ["yekbar", *json.loads(line)]
        main.main()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
