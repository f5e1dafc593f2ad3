"""Encoders, decoders and search, in three families: recurrent, Transformer, convolutional."""
