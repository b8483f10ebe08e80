"""The vocabulary of the business: what arrives, under which names and types."""
