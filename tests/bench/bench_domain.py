"""Which pictures a bundle turns away: held-out simulated runs, stand-ins of other kinds, and what it costs.

python -m tests.bench.bench_domain [--bundle NAME_OR_FOLDER] [--data sim:99[,ct=FOLDER]] [--backgrounds 60]

A run is two frames of one simulated patient, a foreign picture stands alone. The stand-ins are those that the
bundle was taught with, drawn from another seed: what a kind that nobody showed it scores is measured by
leaving each kind out in turn, `--left-out`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from casgan_dicom.lab.domain import EACH, ct_volume, shown_frames, simulated_frames
from casgan_dicom.lab.training_data import parse_data
from casgan_dicom.model.bundle.bundle import load_bundle
from casgan_dicom.model.bundle.shelf import DEFAULT_BUNDLE
from casgan_dicom.model.domain.checks import oddity
from casgan_dicom.model.domain.encoder import encoded
from casgan_dicom.model.domain.judge import DomainJudge
from casgan_dicom.model.domain.lesson import foreign_pictures, own_pictures
from casgan_dicom.model.domain.statistics import fit_statistics
from casgan_dicom.model.domain.view import seen

Frames = npt.NDArray[np.float32]


def main() -> None:
    """Print a row for every kind of picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--data", default="sim:99")
    parser.add_argument("--backgrounds", type=int, default=60)
    parser.add_argument("--each", type=int, default=20, help="foreign pictures of a kind")
    parser.add_argument("--left-out", action="store_true", help="fit anew without each kind in turn")
    args = parser.parse_args()
    bundle, spec = load_bundle(args.bundle), parse_data(args.data)
    if bundle.domain is None:
        sys.exit(f"bundle '{bundle.info.name}' knows nothing of its training frames")
    encoder = partial(encoded, bundle.segmentor)
    judge = DomainJudge(encoder, bundle.domain)
    frames = shown_frames(simulated_frames(spec, args.backgrounds, _write))
    volume = None if spec.ct is None else ct_volume(spec.ct)
    foreign: dict[str, list[Frames]] = defaultdict(list)
    for name, picture in foreign_pictures(np.random.default_rng(77), frames, volume, args.each):
        foreign[name].append(picture.astype(np.float32))
    _write("| pictures | N | score p1 | median | p99 | turned away |\n|---|---|---|---|---|---|")
    _say(
        "simulated runs", [_judged(judge, run) for run in frames.reshape(-1, EACH.frames, *frames.shape[1:])]
    )
    _say("the same, frame by frame", [_judged(judge, frame[None]) for frame in frames])
    for name, pictures in foreign.items():
        _say(name, [_judged(judge, picture[None]) for picture in pictures])
    _cost(judge, frames)
    if args.left_out:
        _left_out(judge, frames, foreign)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _judged(judge: DomainJudge, frames: Frames) -> tuple[float, bool]:
    """Score of a run, and whether it is turned away."""
    found = judge(list(frames))
    return found.score, found.score >= 1 or bool(found.oddity)


def _say(name: str, judged: Sequence[tuple[float, bool]]) -> None:
    low, middle, high = np.quantile([score for score, _ in judged], (0.01, 0.5, 0.99))
    away = np.mean([foreign for _, foreign in judged])
    _write(f"| {name} | {len(judged)} | {low:.2f} | {middle:.2f} | {high:.2f} | {100 * away:.1f} % |")


def _cost(judge: DomainJudge, frames: Frames) -> None:
    """Processor time of judging a frame."""
    some = frames[:12]
    started = time.process_time()
    judge(list(some))
    _write(f"\n{1000 * (time.process_time() - started) / len(some):.1f} ms of processor time a frame")


def _left_out(judge: DomainJudge, frames: Frames, foreign: Mapping[str, Sequence[Frames]]) -> None:
    """What statistics fitted to these frames without one kind make of that kind."""
    own = judge.encode(np.stack(list(own_pictures(np.random.default_rng(78), frames))))
    features = {
        name: judge.encode(np.stack([seen(one) for one in pictures])) for name, pictures in foreign.items()
    }
    _write("\n| kind, fitted without it | N | median | turned away |\n|---|---|---|---|")
    for name, wanted in features.items():
        others = np.concatenate([some for kind, some in features.items() if kind != name])
        scores = fit_statistics(own, others, judge.statistics.encoder_sha256).scores(wanted)
        odd = np.array([bool(oddity(one)) for one in foreign[name]])
        away = float(np.mean((scores >= 1) | odd))
        _write(f"| {name} | {len(scores)} | {np.median(scores):.2f} | {100 * away:.0f} % |")


if __name__ == "__main__":
    main()
