"""Onboarding: a look at a table that an agency has, and a proposal of the record type and the mapping that fit it.

It reads a sample and asks nothing that the sample tells. It changes nothing in the agency's database, and what it
says of the sample holds shapes and counts, never a person's value.
"""
