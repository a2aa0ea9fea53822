"""casgan-dicom: synthetic angiography from non-contrast X-ray cine, in and out of DICOM.

Research software. Every output is marked as synthetic; nothing here is for diagnosis.
"""

__version__ = "0.1.0"
