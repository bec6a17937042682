"""Measures how fast the service is, and which share that is of what gRPC in Python allows."""
