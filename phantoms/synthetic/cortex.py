"""The cerebrum: folded cortex, insula, interhemispheric fissure, callosum."""

from __future__ import annotations

from math import acos, pi, sqrt

from phantoms.synthetic.draw import FINE, FINE2, MIDDLE, NOISE_STEP, Anatomy
from phantoms.synthetic.folding import CENTRE, EXTENT, look_up
from phantoms.synthetic.names import CSF, GM, WM
from phantoms.synthetic.shapes import Array, bump, clip, ellipsoid, kernel, ramp, smooth_min, texture


@kernel
def arch(y: float, z: float) -> float:
    """Relative radius about the corpus callosum: 1 on its outer, about 0.8 on its inner edge."""
    return sqrt(((y + 5) / 38) ** 2 + ((z - 4) / 25) ** 2)


@kernel
def core(y: float, z: float) -> float:
    """Distance [mm] outside the sagittal outline of what joins the hemispheres; negative inside."""
    outline = (arch(y, z) - 1) * 27
    stalk = sqrt((y + 12 + 0.45 * min(z, 0.0) * -1) ** 2 + max(0.0, -22 - z) ** 2) - 17
    if z > 5:
        stalk = 50.0
    return min(outline, stalk)


@kernel
def fissure(x: float, y: float, z: float, half_width: float) -> float:
    """Distance [mm] to the interhemispheric fissure, whose edge is the callosum."""
    inside = max(0.0, -core(y, z))
    return sqrt(x * x + inside * inside) - half_width


@kernel
def sylvian(ax: float, y: float, z: float) -> float:
    """Distance [mm] to the middle sheet of the Sylvian fissure: a slab and, deep to it, the insula."""
    plane = (z + 7 + 0.36 * (y - 8)) * 0.94
    front, end = max(0.0, y - 24), max(0.0, -38 - y)
    slab = sqrt(plane * plane + max(0.0, 37 - ax) ** 2 + front * front + end * end)
    surface = 37.5 - 0.004 * (y - 2) ** 2 + 0.0 * z
    edge = max(0.0, ellipsoid(0.0, y - 1, z - 3 + 0.25 * (y - 1), 1.0, 21.0, 15.0))
    sheet = sqrt((ax - surface) ** 2 + edge * edge)
    return min(slab, sheet)


@kernel
def pial_distance(
    x: float, y: float, z: float, fields: Array, a: Anatomy, maps: Array, scratch: Array
) -> float:
    """Signed distance [mm] to the pial surface, positive in tissue, inside the cerebral hull.

    fields : (channel,) the envelope at this point; scratch : (14,) work space
    """
    depth_outer = -fields[2]
    n = NOISE_STEP
    sway = 0.9 * texture(a.noise, MIDDLE, x / n, y / n, z / n)
    xm = x - sway
    side = 0 if xm > 0 else 1
    sign = 1.0 if xm > 0 else -1.0
    medial = fissure(xm, y, z, 0.55)
    depth = smooth_min(depth_outer, medial, 4.0)
    pial = depth
    if depth < 32:
        h = clip(0.5 + 0.5 * (medial - depth_outer) / 8.0, 0.0, 1.0)
        px = x + depth_outer * h * fields[3] - sign * medial * (1 - h)
        py = y + depth_outer * h * fields[4]
        pz = z + depth_outer * h * fields[5]
        wave = 0.35 + 0.65 * ramp(depth, 0.0, 12.0)
        px += 1.7 * wave * texture(a.noise, FINE, x / n, y / n, z / n)
        py += 1.7 * wave * texture(a.noise, FINE2, x / n, y / n, z / n)
        pz += 1.7 * wave * texture(a.noise, FINE, z / n + 20, x / n, y / n)
        scratch[0] = (sign * px - CENTRE[0]) / EXTENT[0]
        scratch[1] = (py - CENTRE[1]) / EXTENT[1]
        scratch[2] = (pz - CENTRE[2]) / EXTENT[2]
        look_up(maps[side], scratch[0:3], scratch[3:7], scratch[7:11], scratch[11:13])
        sheet = acos(clip(-scratch[11], -1.0, 1.0)) * a.wavelength / (2 * pi)
        bottom = clip(scratch[12], 3.0, 25.0)
        below = max(0.0, depth - bottom)
        open_ = a.sulcus * (1.25 - 1.05 * depth / (bottom + 2.0))
        open_ += 0.28 * texture(a.noise, FINE2, y / n, z / n, x / n)
        sulcal = sqrt(sheet * sheet + below * below) - max(open_, -0.3)
        pial = smooth_min(depth, sulcal, 2.2)
    lateral = sylvian(abs(x) + 1.2 * sway, y, z + 1.5 * sway)
    width = 0.7 + 0.35 * texture(a.noise, FINE, y / n, x / n, z / n) + 0.9 * bump(y - 14, 9.0)
    return smooth_min(pial, lateral - max(width, 0.2), 2.0)


@kernel
def cerebral_tissue(
    x: float, y: float, z: float, fields: Array, a: Anatomy, maps: Array, scratch: Array
) -> int:
    """CSF, GM or WM inside the cerebral hull, before the deep structures."""
    ax = abs(x)
    pial = pial_distance(x, y, z, fields, a, maps, scratch)
    n = NOISE_STEP
    thickness = a.cortex * (1 + 0.10 * texture(a.noise, MIDDLE, z / n, y / n, x / n))
    ring = arch(y, z)
    callosum = ax < 17 and 0.77 - 0.05 * bump(y + 38, 6.0) - 0.05 * bump(y - 30, 6.0) < ring < 1 and z > -3
    inner = ellipsoid(x, y + 5, z - 3, 32.0, 37.0, 24.5) < 0 or (core(y, z) < -2 and ax < 20)
    if callosum or inner:
        return WM
    if pial < 0:
        return CSF
    return GM if pial < thickness else WM
