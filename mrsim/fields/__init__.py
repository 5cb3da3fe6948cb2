"""What the scanner's fields do to the spins: B0 maps in Hz and receive sensitivities."""

from mrsim.fields.b0 import smooth_b0, susceptibility_b0
from mrsim.fields.coils import COILS, CoilMaps, birdcage, loop_array
from mrsim.fields.field_map import FieldMap

__all__ = ["COILS", "CoilMaps", "FieldMap", "birdcage", "loop_array", "smooth_b0", "susceptibility_b0"]
