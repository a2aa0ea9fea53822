"""``python -m casgan_dicom.node ROLE``: one process of the node; see ``roles.py``."""

import os
import sys

from casgan_dicom.node.roles import run_role

if __name__ == "__main__":
    code = run_role(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)  # threads of libraries must not keep a process that has ended
