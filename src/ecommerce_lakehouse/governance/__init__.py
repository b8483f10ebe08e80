"""Who may read what: the declaration, and the task that grants it."""
