"""Whether anything was lost: the ledger beside the disk and the archives (``casgan-dicom node audit``)."""
