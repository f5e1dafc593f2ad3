"""Attention maps: what traces hold, as compact data for the explorer's pages (`compact`) and as
static figures for papers (`figure`). `sources` reads what a trace knows of its words, photo or
sound."""
