"""How trials are executed: processes of their own for submissions."""
