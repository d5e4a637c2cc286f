"""Where the arrays come from: data embedded in libraries, generators, and readers of real files.

Each module makes one kind of data, deterministically, and says in a `Provenance` what it is. Nothing here
needs JAX or a network.
"""
