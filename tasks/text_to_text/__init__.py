"""What the tasks share that turn one text into another: translation and summarization."""
