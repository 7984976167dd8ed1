"""What every HTTP door of ours needs: a bounded body, a route, the caller's token, and errors as problem details.

It knows no record and no evidence: what a door is for lies with the room that opens it.
"""
