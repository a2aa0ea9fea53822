"""The patient's own vessels of an earlier filled run, laid over the frames of a run without contrast."""
