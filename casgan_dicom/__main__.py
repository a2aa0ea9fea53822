"""``python -m casgan_dicom``: the command line, as ``casgan-dicom`` is."""

from casgan_dicom.cli import main

if __name__ == "__main__":
    main()
