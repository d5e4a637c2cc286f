"""QM9: small organic molecules with properties from quantum chemistry, as the package `qm9pack` carries them.

Ramakrishnan et al. 2014, doi:10.1038/sdata.2014.22. The package's files are read where they lie; it is not imported,
because its import asks for a module that new Pythons no longer have.
"""

from __future__ import annotations

import importlib.metadata
import pathlib

import numpy as np
import polars as pl

PACKAGE = "qm9pack"
PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
PROPERTIES = (
    *("Dipole_debye", "Polarizability_bohr3", "HOMO_au", "LUMO_au", "HOMO_LUMO_gap_au", "R2_bohr2"),
    *("ZPVE_au", "InternalEnergy_0K_au", "Heatcapacity_Cv_cal_mol_K"),
)  # and the entropy, from two of them
ENTHALPY, FREE_ENERGY = "Enthalphy_298K_au", "GibbsFreeEnergy_298K_au"  # spelt as the files have them


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def read() -> tuple[list[str], np.ndarray, np.ndarray]:
    """SMILES, numbers of atoms (H, C, N, O, F) and ten properties of all molecules, in the order of the files.

    Raises:
      FileNotFoundError: the package is there, its files are not.
    """
    folder = pathlib.Path(str(importlib.metadata.distribution(PACKAGE).locate_file(f"{PACKAGE}/data")))
    columns = ["SMILES", "Stoichiometry", *PROPERTIES, ENTHALPY, FREE_ENERGY]
    for name in PARTS:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: no such file; install {PACKAGE} again")
    table = pl.concat([pl.read_csv(folder / name, columns=columns) for name in PARTS])
    atoms = table["Stoichiometry"].str.strip_chars("[]").str.split(",").list.eval(pl.element().cast(pl.Int32))
    entropy = (table[ENTHALPY] - table[FREE_ENERGY]).to_numpy()
    return (
        table["SMILES"].to_list(),
        np.array(atoms.to_list(), np.int32),
        np.column_stack([table.select(PROPERTIES).to_numpy(), entropy]),
    )
