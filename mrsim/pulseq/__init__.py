"""Pulseq files: `read.read_pulseq` and `write.write_pulseq`; docs/pulseq.md says what is read and with which signs."""
