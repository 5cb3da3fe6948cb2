"""Spin clouds in the HDF5 layouts of other simulators: KomaMRI's `.phantom` and JEMRIS's sample."""
