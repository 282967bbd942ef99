"""What a platform takes of an algorithm: an image and the model of a run, as tarballs that obey its rules."""
