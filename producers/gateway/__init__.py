"""The HTTP gateway: an agency posts changes as JSON, and hears of each whether the log has it or why it is refused.

It checks no tokens itself: who composes it hands in what knows a token's agency.
"""
