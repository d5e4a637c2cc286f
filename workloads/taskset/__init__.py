"""TaskSet (Metz et al. 2020, arXiv:2002.11887): families of sampled tasks, with the original sampler.

`_draws` holds the draws that families share, `_images` their data sets, `_nets` activations and initialisers,
`_quirks` the named switches between what was released and what was meant; a family is a module beside them.
"""
