"""Contrastive training on captioned images."""
