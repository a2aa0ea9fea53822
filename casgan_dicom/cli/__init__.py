"""The command line. Each sub-command is a file of its own, imported only when it is called.

``casgan-dicom -h`` therefore answers at once: neither torch nor SimpleITK is loaded for it. Results go to
stdout, everything else to stderr. Every option is also read from the environment, as
``CASGAN_<COMMAND>_<OPTION>``.
"""

from __future__ import annotations

import importlib
import logging
import os
import signal
import warnings
from types import FrameType

import click

from casgan_dicom import __version__
from casgan_dicom.cli.output import show_error
from casgan_dicom.errors import CasganError
from casgan_dicom.quoting import printable

COMMANDS: dict[str, tuple[str, str]] = {
    "convert": ("casgan_dicom.cli.convert", "Make synthetic angiograms of X-ray cine series."),
    "reference": ("casgan_dicom.cli.reference", "Say which earlier runs could lend their vessels, and why."),
    "node": ("casgan_dicom.cli.node", "Receive series, convert them, and send the results on."),
    "doctor": ("casgan_dicom.cli.doctor", "Look at everything a node needs, and say what to change."),
    "pull": ("casgan_dicom.cli.pull", "Fetch series from an archive into the node."),
    "train": ("casgan_dicom.cli.train", "Train a generator on simulated data or on folders of frames."),
    "simulate": ("casgan_dicom.cli.simulate", "Simulate X-ray cine of coronary arteries as XA DICOM."),
    "evaluate": ("casgan_dicom.cli.evaluate", "Measure bundles on simulated runs with known truth."),
    "benchmark": ("casgan_dicom.cli.benchmark", "Train every method on the same data, and compare them."),
    "weights": ("casgan_dicom.cli.weights", "Look at bundles of trained weights."),
    "verify": ("casgan_dicom.cli.verify", "Check derived objects against the rules of an honest header."),
    "inspect": ("casgan_dicom.cli.inspect", "Explain what convert would do with files, and why."),
    "view": ("casgan_dicom.cli.view", "Play source and derived cine side by side in a browser."),
    "send": ("casgan_dicom.cli.send", "Send DICOM files to an archive, as they are."),
    "echo": ("casgan_dicom.cli.echo", "Ask a DICOM node whether it is there and talks to us."),
}
"""Name of each sub-command, the module that holds it under that name, and one line of help."""


class LazyGroup(click.Group):
    """A group whose sub-commands are imported when they are called, and whose errors have exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a sub-command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the sub-commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run a sub-command; an error of ours is shown in two lines and ends with its exit code.

        What click says of wrong usage quotes arguments, which may be names of files from elsewhere.
        """
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise click.UsageError(printable(error.format_message()), error.ctx) from error
        except CasganError as error:
            show_error(error)
            ctx.exit(error.exit_code)


@click.group(
    cls=LazyGroup,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "CASGAN",
        "max_content_width": 110,
    },
)
@click.version_option(__version__, prog_name="casgan-dicom")
def cli() -> None:
    """Synthetic angiography from non-contrast X-ray cine, in and out of DICOM.

    Research software: every output is marked as synthetic, and none is for diagnosis.
    """


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> None:
    """Run the command line; the entry point of the installed script.

    SIGTERM ends it as an exception, so that nothing half-written stays behind.
    """
    signal.signal(signal.SIGTERM, _terminated)
    # Threads of PyTorch that wait for each other shall sleep, here and in the processes of a node. They would
    # turn in circles, as many as there are cores, and beside other work each waits for one that has none.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["PYTHONSAFEPATH"] = "1"  # processes that we start take no code from the working directory
    # Libraries quote malformed header values in their warnings and logs: those may be a patient's.
    warnings.simplefilter("ignore")
    for library in ("pydicom", "highdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    cli(prog_name="casgan-dicom")
