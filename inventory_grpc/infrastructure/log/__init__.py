"""The format of the log, common to all storage engines."""
