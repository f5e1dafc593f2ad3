"""Studies, trials and sweeps: from a YAML file to results in a store."""
