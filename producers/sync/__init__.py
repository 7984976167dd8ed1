"""Table sync: a database that can change nothing becomes a source. Read-only access is enough.

`mapping` says what the agency's table means, `table` reads it, `digests` says whether a row says something else than
before, `history` which events tell that, `state` keeps what was told, and `rounds` goes the way.
"""
