"""The vocabulary of the business: entities, with the names and types of their fields."""
