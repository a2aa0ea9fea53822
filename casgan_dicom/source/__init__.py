"""What is read: headers, series, cines, and whether they may be converted; no pixels."""

import casgan_dicom.source.transfer_syntaxes  # noqa: F401  # pydicom has to know them before a file is read
