"""What is looked at before a node goes live: ``casgan-dicom doctor``. Nothing here changes anything."""
