"""Pure functions from DataFrame to DataFrame, by subject. None of them depends on where it runs."""
