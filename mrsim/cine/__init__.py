"""Cines of the beating heart: bSSFP of what moves, frame by frame or line by line over many beats."""
