"""Normalisers: energies to weights. One file each; the registry finds them."""
