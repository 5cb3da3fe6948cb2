"""What scanners and patients do to a perfect scan; every one is off unless it is asked for.

Each imperfection is a function on one of the three things that a scan is made of: `gradients` and `frame`
change `Events`, `fields` change `Spins`, `receiver` changes the signal. `Imperfections` holds the parameters
of all of them and applies them in the order in which they happen.
"""
