"""What is asked of networks for the heart alone: volumes, shapes, codes under many masks, and controls."""
