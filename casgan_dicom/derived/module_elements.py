"""The elements of patient and study, which every derived object has from its source.

The root attributes of five modules of PS3.3, as highdicom lists them; a test compares. highdicom itself reads
them out of a table of the whole standard, which takes half a second and 65 MB.
"""

from __future__ import annotations

MODULE_ELEMENTS: dict[str, tuple[str, ...]] = {
    "patient": (
        "ReferencedPatientSequence", "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID",
        "IssuerOfPatientIDQualifiersSequence", "SourcePatientGroupIdentificationSequence",
        "GroupOfPatientsIdentificationSequence", "PatientBirthDate", "PatientBirthTime",
        "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar",
        "PatientAlternativeCalendar", "PatientSex", "QualityControlSubject", "StrainDescription",
        "StrainNomenclature", "StrainStockSequence", "StrainAdditionalInformation", "StrainCodeSequence",
        "GeneticModificationsSequence", "OtherPatientNames", "OtherPatientIDsSequence",
        "ReferencedPatientPhotoSequence", "EthnicGroupCodeSequence", "PatientSpeciesDescription",
        "PatientSpeciesCodeSequence", "PatientBreedDescription", "PatientBreedCodeSequence",
        "BreedRegistrationSequence", "ResponsiblePerson", "ResponsiblePersonRole",
        "ResponsibleOrganization", "PatientComments", "PatientIdentityRemoved", "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
    ),
    "clinical-trial-subject": (
        "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName",
        "IssuerOfClinicalTrialProtocolID", "OtherClinicalTrialProtocolIDsSequence", "ClinicalTrialSiteID",
        "ClinicalTrialSiteName", "IssuerOfClinicalTrialSiteID", "ClinicalTrialSubjectID",
        "IssuerOfClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
        "IssuerOfClinicalTrialSubjectReadingID", "ClinicalTrialProtocolEthicsCommitteeName",
        "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    ),
    "general-study": (
        "StudyDate", "StudyTime", "AccessionNumber", "IssuerOfAccessionNumberSequence",
        "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence", "ConsultingPhysicianName",
        "ConsultingPhysicianIdentificationSequence", "StudyDescription", "ProcedureCodeSequence",
        "PhysiciansOfRecord", "PhysiciansOfRecordIdentificationSequence", "NameOfPhysiciansReadingStudy",
        "PhysiciansReadingStudyIdentificationSequence", "ReferencedStudySequence", "StudyInstanceUID",
        "StudyID", "RequestingService", "RequestingServiceCodeSequence",
        "ReasonForPerformedProcedureCodeSequence",
    ),
    "patient-study": (
        "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize",
        "PatientSizeCodeSequence", "PatientBodyMassIndex", "MeasuredAPDimension",
        "MeasuredLateralDimension", "PatientWeight", "MedicalAlerts", "Allergies", "Occupation",
        "SmokingStatus", "AdditionalPatientHistory", "PregnancyStatus", "LastMenstrualDate",
        "PatientSexNeutered", "ReasonForVisit", "ReasonForVisitCodeSequence", "AdmissionID",
        "IssuerOfAdmissionIDSequence", "ServiceEpisodeID", "ServiceEpisodeDescription",
        "IssuerOfServiceEpisodeIDSequence", "PatientState",
    ),
    "clinical-trial-study": (
        "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription",
        "LongitudinalTemporalOffsetFromEvent", "LongitudinalTemporalEventType",
        "ClinicalTrialTimePointTypeCodeSequence", "IssuerOfClinicalTrialTimePointID",
        "ConsentForClinicalTrialUseSequence",
    ),
}  # fmt: skip
"""Keywords by module: Patient (C.7.1.1), Clinical Trial Subject (C.7.1.3), General Study (C.7.2.1), Patient
Study (C.7.2.2), Clinical Trial Study (C.7.2.3)."""
