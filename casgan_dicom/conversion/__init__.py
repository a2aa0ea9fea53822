"""The pipeline from files to derived objects: plan, synthesize, forms, output folder, report."""
