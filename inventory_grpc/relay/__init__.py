"""Publishes the events of a log to other systems, each event once and in order."""
