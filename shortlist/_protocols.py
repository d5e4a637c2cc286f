"""What protocols are told of the later rooms: how lists are read and chosen, and the report written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from shortlist._lists import read_points

if TYPE_CHECKING:
    from tuning.protocols.run import Rooms

Progress = Callable[[str, int, int], None]
Report = Callable[[Path, Path], Path]  # (folder of the protocol, folder of the report) -> page


def reports_on_papers(progress: Progress | None) -> Mapping[str, Report]:
    """Protocol -> its report, which has the published numbers beside ours."""
    import reports

    def medapati(out: Path, to: Path) -> Path:
        return reports.write_report(reports.medapati_report(out, progress=progress), to, overwrite=True)

    return {"medapati2025": medapati}


def rooms(progress: Progress | None, report: Report | None = None) -> Rooms:
    """The rooms of every protocol.

    Args:
      progress: of reading and choosing.
      report: one of `reports_on_papers`; None: the report on studies.
    """
    import lists
    import reports
    from tuning.protocols.run import Published, Rooms

    def published(name: str) -> Published:
        read = read_points(name)
        return Published(read.points, read.update_rule)

    def choose(study: Path, size: int, construction: str) -> dict[str, list[str]]:
        proof = lists.leave_one_workload_out(study, size=size, method=construction, progress=progress)
        return {
            workload: [proof.fractions.points[i] for i in one.points]
            for workload, one in zip(proof.fractions.workloads, proof.result.lists, strict=True)
        }

    def whole(study: Path, size: int) -> list[str]:
        built = lists.build_list(study, size=size, progress=progress)
        return [built.fractions.points[i] for i in built.chosen.points]

    def publish(candidates: Path, proof: Path, size: int, to: Path) -> None:
        proven = lists.proven_list(candidates, proof, size=size, name=to.resolve().parent.name)
        lists.write_list(to, proven, overwrite=True)

    def of_studies(out: Path, to: Path) -> Path:
        return reports.report(out / "studies", to, overwrite=True, progress=progress)

    return Rooms(published, choose, whole, publish, report or of_studies)
