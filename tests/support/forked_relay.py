"""Relays in processes that are forked ready, so that many can be killed in little time.

Arguments: the folder of the test that knows the record type, its database, brokers, record type. Reads a line for each
relay, which says the steps at which it dies; answers with the process's id, and then with how it ended.
"""

import os
import sys
import threading
from dataclasses import replace

sys.path.insert(0, sys.argv[1])

from test_publisher_outbox import DEED, relay_of

from bus.failpoints import VARIABLE
from bus.kafka import kafka_connection

_, _, database_url, bootstrap, record_type = sys.argv

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.environ |= {"YEKBAR_MODE": "development", VARIABLE: line.strip()}
        relay_of(database_url, [replace(DEED, id=record_type)], kafka_connection(bootstrap)).run(threading.Event())
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
