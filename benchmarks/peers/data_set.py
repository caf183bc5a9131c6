"""A CT instance of an order, built from scratch with pydicom: the elements that Yeeter's own has."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from app.domain.order import Code, Order, PersonName

SIZES = {"tiny": 64, "full": 512}  # rows and columns


def ct_data_set(order: Order) -> FileDataset:
    """The first instance of the order's study, ready to be written as a file (PS3.3 A.3, PS3.10 section 7.1)."""
    uid = generate_uid()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = uid
    _patient(ds, order)
    _study(ds, order)
    _series(ds, order)
    _acquisition(ds)
    _image(ds, SIZES[order.study.pixels])
    return ds


def write(ds: FileDataset, target: BytesIO | str) -> None:
    """As a file, with its File Meta Information."""
    ds.save_as(target, enforce_file_format=True)


def _patient(ds: Dataset, order: Order) -> None:
    """Patient and Patient Study modules (PS3.3 C.7.1.1, C.7.2.2)."""
    patient = order.patient
    issuer = Dataset()
    issuer.UniversalEntityID = patient.issuer_uid
    issuer.UniversalEntityIDType = "ISO"
    ds.PatientName = _name(patient.name)
    ds.PatientID = patient.patient_id
    ds.IssuerOfPatientID = patient.issuer
    ds.IssuerOfPatientIDQualifiersSequence = [issuer]
    ds.PatientBirthDate = f"{patient.birth_date:%Y%m%d}" if patient.birth_date else ""
    ds.PatientSex = patient.sex
    if patient.birth_date:
        ds.PatientAge = f"{(order.scheduled_at.date() - patient.birth_date).days // 365:03d}Y"
    if patient.height_m:
        ds.PatientSize = str(patient.height_m)
    if patient.weight_kg:
        ds.PatientWeight = str(patient.weight_kg)
    if patient.allergies:
        ds.Allergies = patient.allergies
    ds.AdditionalPatientHistory = order.clinical_information
    ds.AdmissionID = order.visit_number


def _study(ds: Dataset, order: Order) -> None:
    """General Study module (PS3.3 C.7.2.1) and what the order says."""
    day, time = _day_and_time(order.scheduled_at)
    ds.StudyInstanceUID = order.study_uid
    ds.StudyDate, ds.StudyTime = day, time
    ds.StudyID = order.procedure_id
    ds.AccessionNumber = order.accession
    ds.ReferringPhysicianName = _name(order.referring.name)
    ds.RequestingService = order.organisation
    ds.StudyDescription = order.study.description
    ds.ProcedureCodeSequence = [_code(order.procedure)]
    ds.PerformedProcedureStepID = order.step_id
    ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = day, time
    ds.PerformedProcedureStepDescription = order.protocol.meaning
    request = Dataset()
    request.AccessionNumber = order.accession
    request.StudyInstanceUID = order.study_uid
    request.RequestedProcedureID = order.procedure_id
    request.RequestedProcedureDescription = order.procedure.meaning
    request.RequestedProcedureCodeSequence = [_code(order.procedure)]
    request.ReasonForTheRequestedProcedure = order.reason
    request.ScheduledProcedureStepID = order.step_id
    request.ScheduledProcedureStepDescription = order.protocol.meaning
    request.ScheduledProtocolCodeSequence = [_code(order.protocol)]
    ds.RequestAttributesSequence = [request]


def _series(ds: Dataset, order: Order) -> None:
    """General Series, Equipment and Frame of Reference modules (PS3.3 C.7.3.1, C.7.5.1, C.7.4.1)."""
    day, time = _day_and_time(order.scheduled_at)
    ds.Modality = order.study.modality
    ds.SeriesInstanceUID = generate_uid()
    ds.SeriesNumber = 1
    ds.SeriesDescription = order.study.series[0].description
    ds.SeriesDate, ds.SeriesTime = day, time
    ds.AcquisitionDate, ds.AcquisitionTime = day, time
    ds.ContentDate, ds.ContentTime = day, time
    ds.BodyPartExamined = order.study.body_part
    ds.ProtocolName = order.protocol.meaning
    ds.Manufacturer = "A peer"
    ds.ManufacturerModelName = "CT phantom"
    ds.InstitutionName = "A hospital"
    ds.StationName = "CT1"
    ds.FrameOfReferenceUID = generate_uid()
    ds.PositionReferenceIndicator = ""


def _acquisition(ds: Dataset) -> None:
    """CT Image module (PS3.3 C.8.2.1)."""
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.AcquisitionNumber = 1
    ds.ScanOptions = "HELICAL"
    ds.KVP = "120"
    ds.DataCollectionDiameter = "500"
    ds.ReconstructionDiameter = "240"
    ds.GantryDetectorTilt = "0"
    ds.RotationDirection = "CW"
    ds.ExposureTime = 500
    ds.XRayTubeCurrent = 240
    ds.Exposure = 120
    ds.FilterType = "BODY"
    ds.ConvolutionKernel = "STANDARD"


def _image(ds: Dataset, size: int) -> None:
    """Image Plane and Image Pixel modules (PS3.3 C.7.6.2, C.7.6.3), VOI and rescale."""
    spacing = str(240 / size)
    ds.PatientPosition = "HFS"
    ds.InstanceNumber = 1
    ds.ImagePositionPatient = ["-120", "-120", "5"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SliceLocation = "5"
    ds.SliceThickness = "5"
    ds.PixelSpacing = [spacing, spacing]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = ds.Columns = size
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.WindowCenter = ["40", "600"]
    ds.WindowWidth = ["80", "2800"]
    ds.RescaleIntercept = "-1024"
    ds.RescaleSlope = "1"
    ds.RescaleType = "HU"
    ds.PixelData = _pixels(size)


@cache
def _pixels(size: int) -> bytes:
    """Noise, made once: no instance pays for pixels."""
    return np.random.default_rng(1).integers(0, 2000, (size, size), np.uint16).tobytes()


def _name(name: PersonName) -> str:
    return "^".join((name.family, name.given, name.middle, name.prefix, name.suffix)).rstrip("^")


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def _day_and_time(moment: datetime) -> tuple[str, str]:
    return f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
