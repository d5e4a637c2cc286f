"""From what a person asks for to trials on disk: plans, and what is missing of them trained."""
