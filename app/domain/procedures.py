"""The department's catalogue: which procedures are ordered, by modality and body part.

Codes are Yeeter's own: a scheme that begins with 99 is private (PS3.3 section 8.2). Body parts are defined terms of
PS3.16 annex L for (0018,0015). A procedure of a paired part stands here once for each side.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.order import Code, Modality

SCHEME = "99YEETER"


@dataclass(frozen=True, slots=True)
class Procedure:
    modality: Modality
    body_part: str
    laterality: str  # R, L, or empty for an unpaired part
    code: Code
    protocol: Code
    series: tuple[str, ...]  # descriptions, in the order of acquisition


_CT = ("Axial 5.0 soft tissue", "Axial 1.0 sharp kernel", "Coronal MPR 3.0", "Sagittal MPR 3.0", "Axial 3.0 standard")
_MR = (
    *("T1 SE sagittal", "T2 TSE axial", "FLAIR axial", "DWI b0 & b1000", "ADC map"),
    *("SWI axial", "T1 MPRAGE", "T1 MPRAGE + Gd", "T2 TSE coronal"),
)
_JOINT = ("PD FS axial", "PD FS coronal", "PD FS sagittal", "T1 coronal", "T2 FS sagittal")
_TWO_VIEWS = ("PA", "Lateral", "Repeat PA")
_AP_VIEWS = ("AP", "Lateral", "Oblique")
_ABDOMEN = ("AP supine", "AP upright", "Left lateral decubitus")

# modality, body part, code value and meaning, protocol value and meaning, series
_Row = tuple[Modality, str, str, str, str, str, tuple[str, ...]]
_UNPAIRED: tuple[_Row, ...] = (
    ("CT", "CHEST", "CTCHESTWO", "CT Chest without contrast", "CTP-CHEST", "Chest routine", _CT),
    ("CT", "CHEST", "CTAPULM", "CT Angiography of pulmonary arteries", "CTP-PE", "Pulmonary embolism", _CT),
    ("CT", "HEAD", "CTHEADWO", "CT Head without contrast", "CTP-HEAD", "Head routine", _CT),
    ("CT", "ABDOMEN", "CTABDWOW", "CT Abdomen without & with contrast", "CTP-ABD3", "Abdomen three phases", _CT),
    ("CT", "LSPINE", "CTLSPWO", "CT Lumbar spine without contrast", "CTP-LSP", "Lumbar spine bone", _CT),
    ("MR", "BRAIN", "MRBRAINWO", "MR Brain without contrast", "MRP-BRAIN", "Brain routine", _MR),
    ("MR", "BRAIN", "MRBRAINWOW", "MR Brain without & with contrast", "MRP-TUMOR", "Brain tumour", _MR),
    ("MR", "CSPINE", "MRCSPWO", "MR Cervical spine without contrast", "MRP-CSP", "Cervical spine routine", _MR),
    ("MR", "LSPINE", "MRLSPWO", "MR Lumbar spine without contrast", "MRP-LSP", "Lumbar spine routine", _MR),
    ("CR", "CHEST", "CRCHEST2V", "XR Chest 2 views", "XRP-CHEST", "Chest PA & lateral", _TWO_VIEWS),
    ("CR", "ABDOMEN", "CRABD", "XR Abdomen", "XRP-ABD", "Abdomen supine & upright", _ABDOMEN),
    ("CR", "PELVIS", "CRPELVIS", "XR Pelvis", "XRP-PELVIS", "Pelvis AP", _AP_VIEWS),
    ("DX", "CHEST", "DXCHEST2V", "XR Chest 2 views digital", "DXP-CHEST", "Chest PA & lateral", _TWO_VIEWS),
    ("DX", "ABDOMEN", "DXABD", "XR Abdomen digital", "DXP-ABD", "Abdomen supine & upright", _ABDOMEN),
    ("DX", "PELVIS", "DXPELVIS", "XR Pelvis digital", "DXP-PELVIS", "Pelvis AP", _AP_VIEWS),
    ("DX", "LSPINE", "DXLSPINE", "XR Lumbar spine digital", "DXP-LSP", "Lumbar spine AP & lateral", _AP_VIEWS),
)
_PAIRED: tuple[_Row, ...] = (
    ("MR", "KNEE", "MRKNEE", "MR Knee", "MRP-KNEE", "Knee routine", _JOINT),
    ("MR", "SHOULDER", "MRSHOULDER", "MR Shoulder", "MRP-SHOULDER", "Shoulder routine", _JOINT),
    ("CR", "HAND", "CRHAND", "XR Hand", "XRP-HAND", "Hand three views", _AP_VIEWS),
    ("CR", "FOOT", "CRFOOT", "XR Foot", "XRP-FOOT", "Foot three views", _AP_VIEWS),
    ("DX", "HAND", "DXHAND", "XR Hand digital", "DXP-HAND", "Hand three views", _AP_VIEWS),
    ("DX", "KNEE", "DXKNEE", "XR Knee digital", "DXP-KNEE", "Knee three views", _AP_VIEWS),
)


def _catalogue() -> tuple[Procedure, ...]:
    unpaired = [_procedure(row, "", "") for row in _UNPAIRED]
    paired = [_procedure(row, side, word) for row in _PAIRED for side, word in (("R", "right"), ("L", "left"))]
    return (*unpaired, *paired)


def _procedure(row: _Row, laterality: str, word: str) -> Procedure:
    modality, body_part, value, meaning, protocol, protocol_meaning, series = row
    return Procedure(
        modality=modality,
        body_part=body_part,
        laterality=laterality,
        code=Code(f"{value}-{laterality}".rstrip("-"), f"{meaning} {word}".rstrip(), SCHEME),
        protocol=Code(protocol, protocol_meaning, SCHEME),
        series=series,
    )


CATALOGUE = _catalogue()
BODY_PARTS = tuple(sorted({procedure.body_part for procedure in CATALOGUE}))


def procedures_of(modality: Modality, body_parts: tuple[str, ...] = ()) -> tuple[Procedure, ...]:
    """The procedures of a modality, of these body parts only where any are named."""
    return tuple(
        procedure
        for procedure in CATALOGUE
        if procedure.modality == modality and (not body_parts or procedure.body_part in body_parts)
    )
