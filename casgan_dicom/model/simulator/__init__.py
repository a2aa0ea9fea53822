"""Physics of coronary X-ray cine in numpy: tree, contrast, motion, background, detector."""
