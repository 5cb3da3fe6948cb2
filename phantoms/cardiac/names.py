"""Tissue classes of the cardiac tables and how they are grouped for the oracle."""

from __future__ import annotations

from phantoms.phantom import OracleClasses

AIR, LV_BLOOD, MYOCARDIUM, PAPILLARY, RV_BLOOD, RV_TRABECULA, THIN_WALL = range(7)
ARTERIAL, VENOUS, FAT, MUSCLE, SKIN, LUNG, LIVER, SPLEEN, STOMACH, MARROW = range(7, 17)
CORTICAL, CARTILAGE, CSF, CORD, FIBROUS, GLAND = range(17, 23)
N_TISSUES = 23

# papillary muscles and trabeculae count as blood pool, as UK Biobank's contours have it (Petersen 2017)
LV_CAVITY, MYO, RV = 1, 2, 3
_CLASSES = {LV_BLOOD: LV_CAVITY, PAPILLARY: LV_CAVITY, MYOCARDIUM: MYO, RV_BLOOD: RV, RV_TRABECULA: RV}
CARDIAC_ORACLE = OracleClasses(
    names=("background", "LV", "myocardium", "RV"),
    of_tissue=tuple(_CLASSES.get(tissue, 0) for tissue in range(N_TISSUES)),
    priority=(MYO, LV_CAVITY, RV, 0),
)
