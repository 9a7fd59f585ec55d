"""Pictures with captions: files of captions in, sentences and pixels out."""
