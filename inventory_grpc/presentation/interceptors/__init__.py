"""What happens around every call, one idea a file. `server` says in which order."""
