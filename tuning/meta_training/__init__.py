"""Training the weights of learned optimizers."""
