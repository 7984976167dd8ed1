"""The audit: rebuilds from the log alone what the views should say, and compares.

It reads with its own assignment, folds with `consumers.fold`, and shares with the write path only the decoder and the
rules for which events are admissible. It never commits an offset and never writes to a live view or its position.
"""
