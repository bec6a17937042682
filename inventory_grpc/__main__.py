"""Runs the command line as `python -m inventory_grpc`."""

from inventory_grpc.cli import main

main()
