"""Default reconstruction: from the samples of a scan to images in the frame of its plane."""
