"""The demonstration: nine agencies of a small nation, each with its own database, and one citizen's way through it.

The only room besides `schemas` that names agencies. It uses the product as its users do, and fakes nothing: each number
that it prints comes from the run.
"""
