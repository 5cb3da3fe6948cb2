"""What scanners and patients do to a perfect scan; every one is off unless it is asked for.

Each imperfection is a function on one of the three things that a scan is made of: `gradients` and `frame`
change `Events`, `fields` change `Spins`, `receiver` changes the signal. `motion` tells the engine where spins
are, `diffusion` weights what they send; `noise` and `inu` (non-uniformity) act on the k-space and the images
of cases. `Imperfections` in `model` holds the parameters of those of one scan and applies them in the order
in which they happen.
"""
