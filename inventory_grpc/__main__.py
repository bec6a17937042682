"""`python -m inventory_grpc` is `inventory-grpc`."""

from inventory_grpc.cli import main

main()
