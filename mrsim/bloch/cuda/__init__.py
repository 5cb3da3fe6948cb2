"""The isochromat engine on an NVIDIA GPU; importing this loads nothing."""
