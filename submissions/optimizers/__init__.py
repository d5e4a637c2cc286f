"""Update rules with their schedules, one table of them, and a user's own."""
