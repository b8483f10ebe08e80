"""What the lakehouse knows reaches the tools that marketing uses."""
