"""Public data sets -> stores. One file each; a new one is a file here, a line in IMPORTERS and a test."""

IMPORTERS = {
    "mrbrains": "segnets.importers.mrbrains:import_mrbrains",
    "hvsmr": "segnets.importers.hvsmr:import_hvsmr",
    "ukb": "segnets.importers.ukb:import_ukb",
    "acdc": "segnets.importers.acdc:import_acdc",
    "brainweb-normal": "segnets.importers.brainweb_normal:import_brainweb_normal",
}
