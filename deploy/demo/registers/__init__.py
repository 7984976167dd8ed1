"""The truth of each register: from the persons of the nation to the spells of its record types."""
