"""Blocks of samples on their way through three processes: decode, transform, encode."""
