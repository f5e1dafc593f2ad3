"""The mechanisms, one file each; the registry finds them."""
