"""The model in the box: configuration, vocabulary, weights, model card and licence note."""
