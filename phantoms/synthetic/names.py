"""The twelve BrainWeb classes, in BrainWeb's order."""

AIR, CSF, GM, WM, FAT, MUSCLE, MUSCLE_SKIN, SKULL, VESSELS, CONNECTIVE, DURA, MARROW = range(12)
