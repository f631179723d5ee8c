"""Synthetic programs with planted truth, and the whole engine tried on thousands of them."""
