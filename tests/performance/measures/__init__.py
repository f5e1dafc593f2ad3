"""What `make bench-performance` measures: a module each, with `measure() -> list[Figure]`."""
