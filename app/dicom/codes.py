"""Coded concepts (PS3.16): anatomic regions (CID 4) and views (CID 4010), by the defined terms that Yeeter uses."""

from __future__ import annotations

from app.dicom.elements import Attributes
from app.dicom.text import lo, sh
from app.domain.order import Code

_SNOMED_CT = "SCT"

ANATOMIC_REGIONS = {
    "ABDOMEN": Code("818981001", "Abdomen", _SNOMED_CT),
    "BRAIN": Code("12738006", "Brain", _SNOMED_CT),
    "CHEST": Code("816094009", "Chest", _SNOMED_CT),
    "CSPINE": Code("122494005", "Cervical spine", _SNOMED_CT),
    "FOOT": Code("56459004", "Foot", _SNOMED_CT),
    "HAND": Code("85562004", "Hand", _SNOMED_CT),
    "HEAD": Code("69536005", "Head", _SNOMED_CT),
    "KNEE": Code("72696002", "Knee", _SNOMED_CT),
    "LSPINE": Code("122496007", "Lumbar spine", _SNOMED_CT),
    "PELVIS": Code("816092008", "Pelvis", _SNOMED_CT),
    "SHOULDER": Code("16982005", "Shoulder", _SNOMED_CT),
    "SKULL": Code("89546000", "Skull", _SNOMED_CT),
}

VIEWS = {
    "AP": Code("399348003", "antero-posterior", _SNOMED_CT),
    "PA": Code("272479007", "postero-anterior", _SNOMED_CT),
    "LL": Code("399173006", "left lateral", _SNOMED_CT),
    "LLO": Code("399312000", "antero-posterior oblique", _SNOMED_CT),
    "LLD": Code("399348003", "antero-posterior", _SNOMED_CT),  # decubitus is how the patient lies, not the beam
}


def code_item(code: Code) -> Attributes:
    """The item of a code sequence (PS3.3 section 8.8, basic coded entry)."""
    return {
        "CodeValue": sh(code.value),
        "CodingSchemeDesignator": sh(code.scheme),
        "CodeMeaning": lo(code.meaning),
    }
