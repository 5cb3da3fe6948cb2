"""Pulseq files: `read.read_pulseq` and `write.write_pulseq`; docs/pulseq.md tells the conventions."""
