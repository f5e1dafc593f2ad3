"""A news lead or a whole document to its headline."""
