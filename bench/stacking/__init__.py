"""Several models of one shape as one: parameters stacked, batches laid into one batch."""
