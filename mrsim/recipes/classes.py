"""Other oracle classes than those of the source, for phantoms of the twelve BrainWeb tissues."""

from __future__ import annotations

from phantoms.phantom import OracleClasses

# Eight classes in place of SemuNet's (background, cortical and deep grey matter, white matter, extracerebral
# fluid, ventricles, cerebellum, brain stem), which no BrainWeb volume tells apart: each tissue of the head is
# in a class, and those that look alike or fill few pixels are taken together. BrainWeb's tissues, in order:
# air, CSF, GM, WM, fat, muscle, muscle/skin, skull, vessels, around fat, dura, marrow.
HEAD = OracleClasses(
    names=("background", "CSF", "GM", "WM", "fat", "muscle and skin", "bone", "vessels and dura"),
    of_tissue=(0, 1, 2, 3, 4, 5, 5, 6, 7, 4, 7, 6),
    priority=(3, 2, 1, 7, 6, 5, 4, 0),
)

CLASS_SETS = {"head": HEAD}
