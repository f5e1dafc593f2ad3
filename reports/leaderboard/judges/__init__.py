"""One judge a task; other people's come by the entry point `attnbench.judges`."""
