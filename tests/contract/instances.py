"""Small encoded instances, made with pydicom."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from app.domain import identity
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
US_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.6.1"
RUN_KEY = "7K3QX0AB"


def instance(
    order: int = 1,
    number: int = 1,
    *,
    run_key: str = RUN_KEY,
    size: int = 512,
    sop_class: str = CT_IMAGE_STORAGE,
    transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    **attributes: str,
) -> EncodedInstance:
    """One instance of the order's study, about ``size`` bytes of pixels; ``attributes`` replace what it would say."""
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = identity.instance_uid(run_key, order, 1, number)
    ds.StudyInstanceUID = identity.study_uid(run_key, order)
    ds.SeriesInstanceUID = identity.series_uid(run_key, order, 1)
    ds.Modality = "CT"
    ds.AccessionNumber = identity.accession_number(run_key, order)
    ds.PatientID = f"P{order}"
    ds.PatientName = f"DOE^JANE {order}"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "F"
    ds.StudyDate = ds.StudyTime = ds.StudyID = ""
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Columns = min(size // 2, 256)
    ds.Rows = size // 2 // ds.Columns
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.add_new("PixelData", "OW", (bytes(range(251)) * (size // 251 + 1))[: ds.Rows * ds.Columns * 2])
    stream = DicomBytesIO()
    stream.is_little_endian = True
    stream.is_implicit_VR = transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN
    write_dataset(stream, ds)
    return EncodedInstance(sop_class, ds.SOPInstanceUID, transfer_syntax, memoryview(stream.getvalue()))


def study(order: int = 1, count: int = 3, *, size: int = 512) -> list[EncodedInstance]:
    """An order's study of ``count`` instances."""
    return [instance(order, number, size=size) for number in range(1, count + 1)]
