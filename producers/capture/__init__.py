"""Log-based capture: the change topic of a Debezium connector becomes a source, through the same mapping as a sync.

The connector reads an agency's transaction log, here its topic is read: each message says how one row is now, or that
it is gone. What was told of each row is known, as in a sync, and so is how far the topic was read.
"""
