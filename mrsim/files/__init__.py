"""Files besides stores: ISMRMRD, NIfTI and archives of scans and cases, field maps of the user's own."""
