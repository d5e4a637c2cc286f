"""Small molecules as graphs, and labels of them that say which stand out from others of their formula.

Atoms are those heavier than hydrogen, which is a number of an atom; bonds are read from SMILES, where they and the
hydrogens are fully said, so that no chemistry package is needed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

ELEMENTS = "CNOF"
VALENCES = {"C": (4,), "N": (3, 5), "O": (2,), "F": (1,)}
NODE_FEATURES = (
    9  # is it C, N, O, F; hydrogens, neighbours, charge, is it in a ring, bonds beyond single ones
)
EDGE_FEATURES = 3  # order, is it in a ring, does it join two atoms that both have multiple bonds
TAIL = 0.1  # of molecules at either end of a property has that label
KNOWN = 0.7  # of labels

_TOKENS = re.compile(
    r"(?P<open>\()|(?P<close>\))|(?P<bond>[-=#])|(?P<ring>\d)|(?P<atom>[CNOF])"
    r"|\[(?P<symbol>[CNOF])(?P<hydrogens>H\d?)?(?P<charge>[+-])?\]"
)


@dataclasses.dataclass(frozen=True)
class Molecule:
    """Atoms but hydrogen, and the bonds between them.

    Attributes:
      elements: of every atom, a letter of `ELEMENTS`.
      hydrogens, charges: of every atom.
      bonds: (atom, atom, order, is it in a ring), every bond once.
    """

    elements: str
    hydrogens: tuple[int, ...]
    charges: tuple[int, ...]
    bonds: tuple[tuple[int, int, int, bool], ...]

    def graph(self) -> dict[str, np.ndarray]:
        """nodes [atom, `NODE_FEATURES`], edges [edge, `EDGE_FEATURES`], senders and receivers [edge], whole numbers.

        Every bond is two edges, first all one way, then all the other, as AlgoPerf has them.
        """
        atoms = len(self.elements)
        neighbours, beyond, in_ring = (np.zeros(atoms, np.int8) for _ in range(3))
        for one, other, order, ring in self.bonds:
            for atom in (one, other):
                neighbours[atom] += 1
                beyond[atom] += order - 1
                in_ring[atom] |= ring
        kinds = np.array([[element == letter for letter in ELEMENTS] for element in self.elements], np.int8)
        columns = (self.hydrogens, neighbours, self.charges, in_ring, beyond)
        features = [
            (order, ring, beyond[one] > 0 and beyond[other] > 0) for one, other, order, ring in self.bonds
        ]
        edges = np.array(features, np.int8).reshape(-1, EDGE_FEATURES)
        ends = np.array([bond[:2] for bond in self.bonds], np.int8).reshape(-1, 2)
        return {
            "nodes": np.column_stack([kinds, *columns]).astype(np.int8),
            "edges": np.concatenate([edges, edges]),
            "senders": np.concatenate([ends[:, 0], ends[:, 1]]),
            "receivers": np.concatenate([ends[:, 1], ends[:, 0]]),
        }

    def counts(self) -> tuple[int, ...]:
        """Atoms of hydrogen and of every element of `ELEMENTS`."""
        return (sum(self.hydrogens), *(self.elements.count(letter) for letter in ELEMENTS))


def from_smiles(text: str) -> Molecule:
    """A molecule of C, N, O, F and H, whose SMILES writes aromatic rings as double bonds.

    Raises:
      ValueError: other atoms or signs, rings that stay open, or more bonds than an atom has.
    """
    elements, said, charges = [], [], []
    bonds: list[tuple[int, int, int]] = []
    parents: list[int] = []
    rings: dict[str, tuple[int, int]] = {}  # digit -> atom, order
    closed: set[int] = set()  # bonds of rings
    branches: list[int] = []
    last, order, place = -1, 1, 0
    while place < len(text):
        token = _TOKENS.match(text, place)
        if token is None:
            raise ValueError(
                f"SMILES {text!r}: {text[place:]!r} is not understood; only C, N, O, F and H are"
            )
        place = token.end()
        kind = token.lastgroup
        if kind == "open":
            branches.append(last)
        elif kind == "close" and branches:
            last = branches.pop()
        elif kind == "bond":
            order = "-=#".index(token["bond"]) + 1
        elif kind == "ring" and last >= 0 and token["ring"] in rings:
            other, at_other = rings.pop(token["ring"])
            closed |= _cycle(parents, bonds, other, last) | {len(bonds)}
            bonds.append((other, last, max(order, at_other)))
            order = 1
        elif kind == "ring" and last >= 0:
            rings[token["ring"]] = (last, order)
            order = 1
        elif token["atom"] or token["symbol"]:
            atom = len(elements)
            elements.append(token["atom"] or token["symbol"])
            hydrogens = token["hydrogens"]
            said.append(None if token["atom"] else int(hydrogens[1:] or 1) if hydrogens else 0)
            charges.append({None: 0, "+": 1, "-": -1}[token["charge"]])
            parents.append(last)
            if last >= 0:
                bonds.append((last, atom, order))
            last, order = atom, 1
        else:
            raise ValueError(f"SMILES {text!r}: {token[0]!r} has nothing before it")
    if rings or branches or not elements:
        raise ValueError(f"SMILES {text!r}: ends before its rings and branches do")
    used = [0] * len(elements)
    for one, other, order in bonds:
        used[one], used[other] = used[one] + order, used[other] + order
    hydrogens = tuple(
        _free(element, orders, text) if written is None else written
        for element, orders, written in zip(elements, used, said, strict=True)
    )
    rows = tuple((*bond, number in closed) for number, bond in enumerate(bonds))
    return Molecule("".join(elements), hydrogens, tuple(charges), rows)


def _free(element: str, used: int, text: str) -> int:
    """Hydrogens of an atom of which nothing is said."""
    for valence in VALENCES[element]:
        if valence >= used:
            return valence - used
    raise ValueError(f"SMILES {text!r}: {element} has {used} bonds")


def _cycle(parents: list[int], bonds: list[tuple[int, int, int]], one: int, other: int) -> set[int]:
    """Numbers of the bonds on the way between two atoms in the tree in which the text names them."""

    def up(atom: int) -> list[int]:
        way = [atom]
        while parents[way[-1]] >= 0:
            way.append(parents[way[-1]])
        return way

    ways = up(one), up(other)
    steps = [{frozenset(step) for step in itertools.pairwise(way)} for way in ways]
    wanted = steps[0] ^ steps[1]
    return {number for number, bond in enumerate(bonds) if frozenset(bond[:2]) in wanted}


def split_of(formula: str) -> str:
    """Which split the molecules of a formula belong to: a tenth of the formulas each is for validation and test."""
    number = hashlib.sha256(formula.encode()).digest()[0] % 10
    return {0: "test", 1: "validation"}.get(number, "train")


def labels(
    properties: Float[np.ndarray, "molecule property"],
    counts: Float[np.ndarray, "molecule element"],
    training: Bool[np.ndarray, " molecule"],
    seed: int = 0,
) -> tuple[Bool[np.ndarray, "molecule task"], Bool[np.ndarray, "molecule task"]]:
    """Two questions for every property: is it among the lowest, is it among the highest?

    What the numbers of atoms say of a property, by least squares, is taken off before, so that the answer lies in how
    atoms are joined. Regression and bounds are those of training molecules.

    Returns:
      (answers, which of them are known). A part that is drawn at random, `KNOWN`, is.
    """
    atoms = np.column_stack([counts, np.ones(len(counts))])
    explained, *_ = np.linalg.lstsq(atoms[training], properties[training], rcond=None)
    left = properties - atoms @ explained
    low, high = np.quantile(left[training], (TAIL, 1 - TAIL), axis=0)
    answers = np.concatenate([left < low, left > high], axis=1)
    return answers, np.random.default_rng(seed).random(answers.shape) < KNOWN


def made_up(molecules: int, seed: int = 0) -> tuple[list[Molecule], Float[np.ndarray, "molecule property"]]:
    """Molecules of nobody's, with properties that their bonds decide, for whoever has no real ones.

    Atoms are joined to a tree at random as far as their valences go, and up to two more bonds close rings. Each of ten
    properties is a sum over bonds and over pairs of bonds that meet, of terms drawn once, and of a little noise.
    """
    rng = np.random.default_rng(seed)
    tables = rng.normal(size=(10, 4, 4, 4)), rng.normal(size=(10, 4, 4, 4))
    found, values = [], []
    for _ in range(molecules):
        molecule = _random_molecule(rng)
        kinds = [ELEMENTS.index(element) for element in molecule.elements]
        value = 0.1 * rng.normal(size=10)
        for one, other, order, ring in molecule.bonds:
            low, high = sorted((kinds[one], kinds[other]))
            value += tables[0][:, low, high, order] * (1.5 if ring else 1.0)
            for middle, far, *_ in molecule.bonds:
                if middle == other:
                    value += 0.5 * tables[1][:, kinds[one], kinds[other], kinds[far]]
        found.append(molecule)
        values.append(value)
    return found, np.array(values)


def _random_molecule(rng: np.random.Generator) -> Molecule:
    free = {"C": 4, "N": 3, "O": 2, "F": 1}
    kinds = np.searchsorted((0.65, 0.8, 0.97), rng.random(int(rng.integers(6, 9))))
    elements = ["C", *(ELEMENTS[kind] for kind in kinds)]
    left = [free[element] for element in elements]
    bonds: dict[tuple[int, int], int] = {}
    parents = [-1]
    for atom in range(1, len(elements)):
        open_ones = [other for other in range(atom) if left[other]]
        if not open_ones:
            elements, left = elements[:atom], left[:atom]
            break
        other = open_ones[int(rng.random() * len(open_ones))]
        order = min(left[other], left[atom], 1 + sum(rng.random() < part for part in (0.2, 0.03)))
        bonds[other, atom] = order
        left[other], left[atom] = left[other] - order, left[atom] - order
        parents.append(other)
    tree = [(one, other, order) for (one, other), order in bonds.items()]
    in_rings: set[int] = set()
    for _ in range(int(rng.integers(0, 3))):
        one, other = sorted(int(atom) for atom in rng.integers(0, len(elements), 2))
        if one < other and left[one] and left[other] and (one, other) not in bonds:
            in_rings |= _cycle(parents, tree, one, other)
            bonds[one, other] = 1
            left[one], left[other] = left[one] - 1, left[other] - 1
    rows = tuple(
        (one, other, order, number in in_rings or number >= len(tree))
        for number, ((one, other), order) in enumerate(bonds.items())
    )
    return Molecule("".join(elements), tuple(left), (0,) * len(elements), rows)


def formula(counts: Sequence[int] | Mapping[int, int]) -> str:
    """Numbers of atoms as text, by which molecules are split."""
    return ",".join(str(counts[i]) for i in range(1 + len(ELEMENTS)))
