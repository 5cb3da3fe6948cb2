"""The cerebrum: folded cortex, insula, interhemispheric fissure, callosum."""

from __future__ import annotations

from math import acos, pi, sqrt

from phantoms.synthetic.draw import BROAD, FINE, FINE2, FINE3, MIDDLE, MIDDLE2, Anatomy
from phantoms.synthetic.folding import CENTRE, EXTENT, look_up
from phantoms.synthetic.names import CSF, GM, WM
from phantoms.synthetic.shapes import Array, bump, clip, ellipsoid, kernel, ramp, smooth_min


@kernel
def arch(y: float, z: float) -> float:
    """Relative radius about the corpus callosum: 1 on its outer, about 0.8 on its inner edge."""
    return sqrt(((y + 5) / 38) ** 2 + ((z - 4) / 25) ** 2)


@kernel
def callosum(ax: float, y: float, z: float) -> float:
    """Distance [mm] to the corpus callosum, thicker at genu and splenium; negative inside."""
    ring = arch(y, z)
    inner = 0.77 - 0.05 * bump(y + 38, 6.0) - 0.05 * bump(y - 30, 6.0)
    shell = abs(ring - 0.5 * (1 + inner)) - 0.5 * (1 - inner)
    return max(27 * shell + 4.0 * (ax / 17) ** 4, -3 - z)


@kernel
def core(y: float, z: float) -> float:
    """Distance [mm] outside the sagittal outline of what joins the hemispheres; negative inside."""
    outline = (arch(y, z) - 1) * 27
    if z > 5:
        return outline
    stalk = sqrt((y + 12 - 0.45 * min(z, 0.0)) ** 2 + max(0.0, -22 - z) ** 2) - 17
    return min(outline, stalk)


@kernel
def midline(x: float, noise: Array) -> float:
    """Distance [mm] to the right of the wavy mid-sagittal surface."""
    return float(x - 1.1 * noise[BROAD])


@kernel
def fissure(xm: float, y: float, z: float, half_width: float) -> float:
    """Distance [mm] to the interhemispheric fissure, whose edge is the callosum."""
    inside = max(0.0, -core(y, z))
    return sqrt(xm * xm + inside * inside) - half_width


@kernel
def sylvian(x: float, y: float, z: float, noise: Array) -> float:
    """Distance [mm] to the walls of the Sylvian fissure: a slab and the sheet over the insula."""
    ax = abs(x) + 2.0 * noise[FINE3]
    z = z + 1.7 * noise[FINE2] + 1.2 * noise[MIDDLE2]
    plane = (z + 7 + 0.42 * (y - 8)) * 0.92
    front, end = max(0.0, y - 22), max(0.0, -36 - y)
    slab = sqrt(plane * plane + max(0.0, 38 - ax) ** 2 + front * front + end * end)
    surface = 38.0 - 0.005 * (y - 2) ** 2 + 0.10 * (z - 3)
    edge = max(0.0, ellipsoid(0.0, y - 1, z - 3 + 0.25 * (y - 1), 1.0, 20.0, 14.0))
    sheet = sqrt((ax - surface) ** 2 + edge * edge)
    slab_width = 0.55 + 0.45 * noise[FINE] + 0.5 * bump(y - 15, 7.0)
    return float(min(slab - max(slab_width, -0.2), sheet - max(0.55 + 0.55 * noise[FINE2], -0.2)))


@kernel
def subarachnoid_gap(z: float, noise: Array) -> float:
    """Width [mm] of the fluid between the hull and the crowns of the gyri."""
    return float(max(0.0, 1.0 + 0.6 * noise[BROAD] + 0.5 * noise[MIDDLE2]) * ramp(z, -25.0, 15.0))


@kernel
def sulcal_distance(
    x: float,
    y: float,
    z: float,
    sign: float,
    depth: float,
    noise: Array,
    a: Anatomy,
    maps: Array,
    scratch: Array,
) -> float:
    """Distance [mm] to the walls of the nearest sulcus; (x, y, z) is the point carried out to the hull.

    The pattern is read along the direction from the centre of the hemisphere; sulci sway with depth.
    """
    sway = 1.2 + 2.2 * ramp(depth, 0.0, 14.0)
    x += sway * (0.6 * noise[FINE] + 0.6 * noise[MIDDLE])
    y += sway * (0.6 * noise[FINE2] + 0.6 * noise[MIDDLE2])
    z += sway * (0.9 * noise[FINE3])
    scratch[0] = (sign * x - CENTRE[0]) / EXTENT[0]
    scratch[1] = (y - CENTRE[1]) / EXTENT[1]
    scratch[2] = (z - CENTRE[2]) / EXTENT[2]
    look_up(maps[0 if sign > 0 else 1], scratch[0:3], scratch[3:7], scratch[7:11], scratch[11:13])
    sheet = acos(clip(-scratch[11], -1.0, 1.0)) * a.wavelength / (2 * pi)
    bottom = clip(scratch[12], 3.0, 26.0)
    below = max(0.0, depth - bottom)
    opening = a.sulcus * (1.35 - 1.15 * depth / (bottom + 2.0)) + 0.3 * noise[FINE2]
    return float(sqrt(sheet * sheet + below * below) - max(opening, -0.3))


@kernel
def pial_distance(
    x: float, y: float, z: float, fields: Array, noise: Array, a: Anatomy, maps: Array, scratch: Array
) -> float:
    """Signed distance [mm] to the pial surface, positive in tissue, inside the cerebral hull.

    fields : (channel,) the envelope at this point; scratch : (14,) work space
    """
    outer = -fields[2] - subarachnoid_gap(z, noise)
    xm = midline(x, noise)
    sign = 1.0 if xm > 0 else -1.0
    medial = fissure(xm, y, z, max(0.3, 0.85 + 0.25 * noise[FINE3]))
    depth = smooth_min(outer, medial, 4.0)
    pial = depth
    if depth < 34:
        h = clip(0.5 + 0.5 * (medial - outer) / 8.0, 0.0, 1.0)
        px = x + outer * h * fields[3] - sign * medial * (1 - h)
        py, pz = y + outer * h * fields[4], z + outer * h * fields[5]
        sulcal = sulcal_distance(px, py, pz, sign, depth, noise, a, maps, scratch)
        pial = smooth_min(depth, sulcal, 2.2)
    return smooth_min(pial, sylvian(x, y, z, noise), 2.0)


@kernel
def cerebral_tissue(
    x: float, y: float, z: float, fields: Array, noise: Array, a: Anatomy, maps: Array, scratch: Array
) -> int:
    """CSF, GM or WM inside the cerebral hull, before the deep structures."""
    ax = abs(x)
    if callosum(ax, y, z) < 0:
        return WM
    if ellipsoid(x, y + 5, z - 3, 32.0, 37.0, 24.5) < 0 and z > -8:
        return WM
    if core(y, z) < -2 and ax < 20 - 7 * ramp(z, -3.0, -9.0):
        base = -fields[2] - subarachnoid_gap(z, noise)  # hypothalamus
        return CSF if base < 0 else (GM if base < 3.5 else WM)
    pial = pial_distance(x, y, z, fields, noise, a, maps, scratch)
    if pial < 0:
        return CSF
    return GM if pial < a.cortex * (1 + 0.10 * noise[MIDDLE2]) else WM
