"""An inventory service for retailers with many stores, spoken to over gRPC."""
