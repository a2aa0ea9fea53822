"""What is read: headers, series, cines, and whether they may be converted; no pixels."""
