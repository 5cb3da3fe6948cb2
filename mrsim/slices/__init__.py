"""A slice of a phantom: where its plane lies, the spins of its slab, and the oracle of its pixels."""
