"""Words of a query that several operations share."""

from __future__ import annotations

from typing import get_args

from casgan_dicom.node.state.jobs import JobState
from casgan_dicom.node.web.asked import Parameter

LIMIT = Parameter("limit", "At most so many.", "integer", most=500, default=50)
OFFSET = Parameter("offset", "So many are left out before them.", "integer", most=2**31 - 1)
STATE = Parameter("state", "Only jobs in this state.", choices=get_args(JobState))
CALLING = Parameter("calling_ae", "Calling AE title of the sender; unknown unless it is said.")
CALLED = Parameter("called_ae", "Called AE title; that of the listener unless it is said.")
ADDRESS = Parameter("address", "IP address of the sender; unknown unless it is said.")
