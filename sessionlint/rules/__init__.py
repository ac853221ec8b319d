"""One file per rule: documentation, examples and check. ``registry`` finds them, ``base`` is what they share."""
