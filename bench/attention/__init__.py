"""Attention = score x window x normaliser x aggregation, and the mechanisms made of them."""
