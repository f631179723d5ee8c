"""Reports made from a summary: each module one form, none of them with judgement of its own."""
