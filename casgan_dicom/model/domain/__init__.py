"""Whether a picture is of the kind that a bundle was trained on: a score from its segmentor's encoder."""
