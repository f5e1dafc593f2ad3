"""Attention = score x window x normaliser x aggregation, and the mechanisms put together from them."""
