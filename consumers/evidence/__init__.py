"""The evidence API: a procedure and a person in, every piece of evidence it requires out, or a typed reason why not.

It reads views and appends accesses; it writes nothing else, and it hands out nothing that no agreement permits.
"""
