"""Consumers: what is made of the log: views, evidence, accesses, audit. They never publish for an agency."""
