"""Every port in lists and dicts: a fast target of tests, and all that a store has to do."""
