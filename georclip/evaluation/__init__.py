"""How good an encoder is, by published protocols."""
