"""What tasks share for text: words, subwords, encoded corpora on disk."""
