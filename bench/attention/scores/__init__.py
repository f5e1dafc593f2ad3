"""Score functions: how well a query and a key fit. One file each; the registry finds them."""
