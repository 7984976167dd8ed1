"""Producers: every way in which an agency's change becomes an event on the bus. They never read a view."""
