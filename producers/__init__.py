"""The producers: an agency's changes become checked events on the bus. Every on-ramp ends in one publisher.

They know no consumer and no view; what a consumer could not take is refused here, before it is sent.
"""
