"""The five applications: data, Lightning modules, metrics. Knows nothing of sweeps and reports."""
