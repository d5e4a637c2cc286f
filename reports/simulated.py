"""Intervals of order statistics that hold all at once, as opda simulates them; see `reports.calibration`.

opda draws 100,000 samples and takes the intervals that held in as many of them as asked for: the same intervals for the
same number of draws, confidence and seed, whatever the values. What it finds with the defaults of a report is written
down here, so that a report waits for no simulation, and not for the import of opda, which loads all of SciPy's
statistics. What it finds with others is kept on disk, see `reports.band_files`.
"""

from __future__ import annotations

import functools

import numpy as np
from jaxtyping import Float

from reports.band_files import BandKey, kept
from reports.calibration import equal_tailed

METHOD = "ld_equal_tailed"  # within 1-2 % of the tightest bands, and several times cheaper
CONFIDENCE, SEED = 0.7, 0
# Of 1, 2, ... draws: the probability in either tail of each interval. The digits of opda 0.8.0, which a test repeats.
TAILS = (
    0.14953764997363006, 0.08825979979400855, 0.06549697158089418, 0.05352366522552354,  # 1 to 4
    0.04564444984893923, 0.04058887985507198, 0.03685217664784873, 0.03367101365688946,  # 5 to 8
    0.0314049830750715, 0.0294769015175268, 0.027712870115212895, 0.026746187964604373,  # 9 to 12
    0.025413808078691258, 0.024106264749174378, 0.023254234993290435, 0.02234622432826372,  # 13 to 16
    0.021916930724889372, 0.021184806821330615, 0.02067728324553364, 0.020117044164840614,  # 17 to 20
    0.01948647632939332, 0.018986140282881148, 0.01880875672411192, 0.01824407656111754,  # 21 to 24
    0.017973075509042646, 0.0175859822937538, 0.017014873609249304, 0.01691262103282337,  # 25 to 28
    0.01659654272227279, 0.016427969457002645, 0.0161364754091311, 0.015970075474866674,  # 29 to 32
    0.01574925218919948, 0.01549938381457533, 0.015518970458167192, 0.01523808969971796,  # 33 to 36
    0.014995093718269514, 0.014676550687164724, 0.014710479231810847, 0.014277755707385265,  # 37 to 40
    0.014165400533828254, 0.013919686672366094, 0.014010996843328238, 0.013789557815026332,  # 41 to 44
    0.013746668632805992, 0.013476291993140488, 0.013443095920935455, 0.013272804610825972,  # 45 to 48
    0.013172759011616686, 0.01308861446027898, 0.012946338079671216, 0.012889697643620246,  # 49 to 52
    0.012750273850600069, 0.012730048339374522, 0.012681379385920344, 0.01255760405277323,  # 53 to 56
    0.012397533610799982, 0.01223031080858994, 0.012305911147836857, 0.012182933405104845,  # 57 to 60
    0.012029701814428528, 0.012049487798021619, 0.01186848866299367, 0.011797324241158702,  # 61 to 64
    0.011821330912375805, 0.011704388378991015, 0.011689970060323351, 0.011545565138552094,  # 65 to 68
    0.011544417702601062, 0.011477822977919439, 0.011291971996213401, 0.011410889830842541,  # 69 to 72
    0.01127339322614973, 0.011286341785394782, 0.01114541087084242, 0.011105561741918735,  # 73 to 76
    0.010912716657130117, 0.010952739307186488, 0.010959567364799638, 0.010834958080275847,  # 77 to 80
    0.010831134713122248, 0.01077121103195311, 0.01076692367581783, 0.010594914222703311,  # 81 to 84
    0.010805755181051868, 0.010547972681973772, 0.010530289608177534, 0.010438622685146448,  # 85 to 88
    0.010346652945613932, 0.010374129849799019, 0.010338954290114444, 0.010333589371862906,  # 89 to 92
    0.010152117612465872, 0.010145419283505652, 0.010241322827697075, 0.010144140038088889,  # 93 to 96
    0.010175263806793011, 0.010057703375162486, 0.010014388944657227, 0.009950208350153755,  # 97 to 100
)  # fmt: skip


@functools.cache
def simulated_intervals(
    n: int, confidence: float, seed: int
) -> tuple[Float[np.ndarray, " rank"], Float[np.ndarray, " rank"]]:
    """Ends of the equal-tailed intervals of the n order statistics of uniform draws, which hold all at once.

    Args:
      n: draws; time and memory grow with them.
      confidence: that all intervals hold, in (0, 1).
      seed: of the simulation.

    Returns:
      The lower and the upper end of each, in order of rank; read-only.

    Example:
      >>> low, high = simulated_intervals(1, 0.7, 0)
      >>> round(float(high[0] - low[0]), 2)  # chance, in the third digit
      0.7
    """
    if (confidence, seed) == (CONFIDENCE, SEED) and n <= len(TAILS):
        low, high = equal_tailed(n, TAILS[n - 1])
    else:
        low = kept(BandKey(METHOD, n, confidence, seed), lambda: _by_opda(n, confidence, seed))
        high = 1 - low[::-1]
    low.flags.writeable = high.flags.writeable = False
    return low, high


def _by_opda(n: int, confidence: float, seed: int) -> Float[np.ndarray, " rank"]:
    """The lower ends, read off the band around any n values."""
    from opda.nonparametric import EmpiricalDistribution

    # opda keeps what it simulated under the generator *object*: one shared by several sizes would make intervals depend
    # on which were asked for before.
    generator = np.random.default_rng([seed, n, round(confidence * 1e9)])
    values = np.arange(n, dtype=np.float64)
    below, _, _ = EmpiricalDistribution.confidence_bands(
        values, confidence, generator=generator, method=METHOD,
        n_jobs=1,  # the default forks a pool, which is unsafe once JAX runs in this process
    )  # fmt: skip
    return below.cdf(values)
