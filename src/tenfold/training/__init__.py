"""Training: the loop, its optimizers and schedules, and what watches over it."""
