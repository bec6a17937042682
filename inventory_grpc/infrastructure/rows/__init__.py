"""The rows of the read models: which events make them, and which states they stand for.

Both engines have the same tables with the same rows. Their SQL differs, and is not here.
"""
