"""Captioning: pictures to sentences, with a region of the picture for every noun phrase."""
