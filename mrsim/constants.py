"""Physical constants and the sign conventions, stated once.

Rotating frame at the transmitter frequency, M+ = Mx + iMy:

* dM/dt = gamma M x B: the nutation is left-handed, RF along +x turns Mz into +My, so a pulse of flip
  angle `a` and phase `p` leaves M+ = i exp(ip) sin(a);
* free evolution M+(t) = M+(0) exp(-i 2 pi f t - t/T2); f > 0 is a higher Larmor frequency;
* signal S(k) = sum of M+(r) exp(-i 2 pi k.r), k(t) = GAMMA_BAR * integral of G dt; images take +i;
* k-space and images are centred (DC and r = 0 at n // 2) and the transform is orthonormal.
"""

import math

from scipy.constants import physical_constants

GAMMA_BAR: float = physical_constants["proton gyromag. ratio in MHz/T"][0] * 1e6
"""Gyromagnetic ratio of the proton over 2 pi [Hz/T] (CODATA)."""

GAMMA: float = 2 * math.pi * GAMMA_BAR
"""Gyromagnetic ratio of the proton [rad/s/T]."""
