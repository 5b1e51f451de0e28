"""A day of topics, decided again as it was: out of the topics, or of a recording of them."""
