"""Pure functions from DataFrame to DataFrame, by subject. Nothing here knows where it runs."""
