"""What the service does with commands, queries and followers, whatever stores and speaks."""
