"""What stock is, what may happen to it, and when the answer is no."""
