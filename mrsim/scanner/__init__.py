"""One scan: what lies in the scanner, what is played, what is measured."""
