"""The XML header of an MRD file: where and how a scan was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ismrmrd.xsd as xsd

from mrsim.constants import GAMMA_BAR
from mrsim.scanner.scan import Scan
from mrsim.versions import version_of

DATASET = "dataset"  # the group that every reader looks for
MM, MS = 1e-3, 1e-3
TRAJECTORY = "kx, ky in cycles per pixel of the encoded space (-0.5 to 0.5); S(k) = sum m exp(-i 2 pi k.r)"


def xml_header(scan: Scan, kind: str, echo_train: int) -> str:
    """Header of a scan whose trajectory is of `kind`, with `echo_train` lines in its first window."""
    parameters = scan.played.parameters
    return str(
        xsd.ToXML(
            xsd.ismrmrdHeader(
                version=1,
                subjectInformation=xsd.subjectInformationType(patientID=scan.phantom),
                measurementInformation=xsd.measurementInformationType(
                    patientPosition=xsd.patientPositionType.HFS, sequenceName=scan.played.name
                ),
                acquisitionSystemInformation=_system(scan),
                experimentalConditions=xsd.experimentalConditionsType(
                    H1resonanceFrequency_Hz=round(GAMMA_BAR * _field(scan))
                ),
                encoding=[_encoding(scan, kind, parameters.get("echo_train", echo_train))],
                sequenceParameters=_sequence(scan.played.name, parameters),
                userParameters=_remarks(scan),
            )
        )
    )


def _field(scan: Scan) -> float:
    """[T]; ValueError where it is not known, without which the format has no header."""
    if not math.isfinite(scan.field_strength):
        raise ValueError(f"field_strength of a scan must be known to write MRD, got {scan.field_strength} T")
    return scan.field_strength


def _system(scan: Scan) -> Any:  # noqa: ANN401  classes that xsdata makes
    return xsd.acquisitionSystemInformationType(
        systemVendor="mrsim",
        systemModel=f"mrsim {version_of('mrsim')}, engine {scan.engine}",
        systemFieldStrength_T=scan.field_strength,
        receiverChannels=scan.signal.shape[0],
        coilLabel=[
            xsd.coilLabelType(coilNumber=i, coilName=f"coil {i}") for i in range(scan.signal.shape[0])
        ],
    )


def _encoding(scan: Scan, kind: str, echo_train: Any) -> Any:  # noqa: ANN401
    n_y, n_x = scan.plane.matrix
    space = xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=n_x, y=n_y, z=1),
        fieldOfView_mm=xsd.fieldOfViewMm(
            x=scan.plane.fov[1] / MM, y=scan.plane.fov[0] / MM, z=scan.plane.thickness / MM
        ),
    )
    return xsd.encodingType(
        encodedSpace=space,
        reconSpace=space,
        encodingLimits=_limits(scan, kind),
        trajectory=xsd.trajectoryType(kind),
        trajectoryDescription=xsd.trajectoryDescriptionType(identifier="mrsim", comment=TRAJECTORY),
        echoTrainLength=int(echo_train),
    )


def _limits(scan: Scan, kind: str) -> Any:  # noqa: ANN401
    n_y, n_x = scan.plane.matrix
    most = {name: max((c.get(name, 0) for c in scan.played.counters), default=0) for name in
            ("SLC", "ECO", "PHS", "REP", "SET", "SEG", "AVG", "PAR")}  # fmt: skip
    shots = max(1, len(scan.played.counters) // max(1, len(scan.frames())))
    lines = _limit(0, n_y - 1, n_y // 2) if kind in ("cartesian", "epi") else _limit(0, shots - 1, 0)
    return xsd.encodingLimitsType(
        kspace_encoding_step_0=_limit(0, n_x - 1, n_x // 2),
        kspace_encoding_step_1=lines,
        kspace_encoding_step_2=_limit(0, most["PAR"], 0),
        slice=_limit(0, most["SLC"], 0),
        contrast=_limit(0, most["ECO"], 0),
        phase=_limit(0, most["PHS"], 0),
        repetition=_limit(0, most["REP"], 0),
        set=_limit(0, most["SET"], 0),
        segment=_limit(0, most["SEG"], 0),
        average=_limit(0, most["AVG"], 0),
    )


def _limit(minimum: int, maximum: int, centre: int) -> Any:  # noqa: ANN401
    return xsd.limitType(minimum=minimum, maximum=maximum, center=centre)


def _sequence(name: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Give times in ms and angles in degrees, as far as the sequence has them."""
    scaled = {
        key: [float(parameters[ours]) / unit]
        for key, ours, unit in (
            ("TR", "tr", MS), ("TE", "te", MS), ("TI", "ti", MS), ("flipAngle_deg", "flip", math.pi / 180),
            ("echo_spacing", "echo_spacing", MS),
        )
        if isinstance(parameters.get(ours), float)
    }  # fmt: skip
    return xsd.sequenceParametersType(sequence_type=name, **scaled)


def _remarks(scan: Scan) -> Any:  # noqa: ANN401
    receives = scan.events.samples > 0
    dwell = float(scan.events.dwell[receives][0]) if receives.any() else math.nan
    doubles = {"receiver_bandwidth_Hz": 1 / dwell, "total_duration_s": scan.events.total_duration}
    if "bandwidth" in scan.played.parameters:
        doubles["bandwidth_per_pixel_Hz"] = float(scan.played.parameters["bandwidth"])
    strings = {
        "phantom": scan.phantom,
        "engine": f"{scan.engine}: {scan.reason}",
        "trajectory_units": TRAJECTORY,
    }
    if scan.class_names:
        strings["label_classes"] = ", ".join(f"{i} {name}" for i, name in enumerate(scan.class_names))
    return xsd.userParametersType(
        userParameterDouble=[
            xsd.userParameterDoubleType(name=key, value=v) for key, v in doubles.items() if math.isfinite(v)
        ],
        userParameterString=[xsd.userParameterStringType(name=key, value=v) for key, v in strings.items()],
    )
