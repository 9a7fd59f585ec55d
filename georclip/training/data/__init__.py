"""Captioned pictures to seeded batches of tensors."""
