"""Bloch engines: `mrsim.bloch.engine.simulate` turns spins and a sequence into k-space."""
