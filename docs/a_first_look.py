"""A first look: simulate a patient, convert, look, measure. Synthetic, for research, not for diagnosis.

Paste it into a notebook cell by cell (each begins with ``# %%``), or run it as it is. It needs casgan-dicom
with its extra `metrics`, but no data and no GPU; it takes about a minute and leaves two pictures in the
current folder.
"""

# %% What is needed
import matplotlib.pyplot as plt
import numpy as np

import casgan_dicom

NOTE = "SYNTHETIC - FOR RESEARCH - NOT FOR DIAGNOSIS"

# %% Simulate a patient who does not exist: the same two seconds without contrast and with it
pair = casgan_dicom.simulate(seed=2, size=256, frames=30)
plain = pair.display(pair.plain)  # float32 (T, H, W), 0 black and 1 white, as a viewer shows it
contrast = pair.display(pair.contrast)
filled = pair.vessel_mask.mean(axis=(1, 2))  # share of each frame, (T,)
k = int(filled.argmax())  # the moment when most of the artery is filled
print(f"{NOTE}: {pair.injected}, {len(plain)} frames, the artery is best filled in frame {k + 1}")

# %% Convert: the generator sees only the frames without contrast
generator = casgan_dicom.Generator.load("casgan")
synthesis = generator(plain)
print(f"{NOTE}: made by {generator.info.name} with {generator.engine} on {generator.device}")

# %% Look: what went in, what was invented, and where; then what contrast would really have shown
panels = {
    "without contrast": plain[k],
    "synthetic": synthesis.frames[k],
    "attention, 0 to 1": np.zeros_like(plain[k]) if synthesis.attention is None else synthesis.attention[k],
    "with contrast (truth)": contrast[k],
}
figure, axes = plt.subplots(1, len(panels), figsize=(12, 3.45), layout="constrained")
for axis, (title, picture) in zip(axes, panels.items(), strict=True):
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title)
    axis.set_axis_off()
figure.suptitle(NOTE)
figure.savefig("first_look.png", dpi=120)


# %% Measure: do the invented vessels lie where the simulated ones are?
def dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Overlap of two masks: 0 for none, 1 for the same."""
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


truth = pair.vessel_mask[k]
maps = {name: generator.vessels(x)[k] > 0.5 for name, x in (("drawn", synthesis.frames), ("real", contrast))}
scores = {
    "vessels seen with contrast": dice(maps["real"], truth),  # as good as the vessel finder can be here
    "vessels drawn by the network": dice(maps["drawn"], truth),
    "the same, mirrored: chance": dice(maps["drawn"][:, ::-1], truth),
}
for name, score in scores.items():
    print(f"{NOTE}: Dice of {name} with the truth is {score:.2f}")

# %% A second picture: the run in time. Invented vessels are there from the first frame on
drawn = (generator.vessels(synthesis.frames) > 0.5).mean(axis=(1, 2))
times = np.arange(len(plain)) / pair.settings.frame_rate
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.plot(times, 100 * filled, label="filled with contrast (truth)")
axis.plot(times, 100 * drawn, label="drawn by the network")
axis.set(xlabel="time in s", ylabel="vessel, % of the frame", title=NOTE)
axis.legend()
figure.savefig("first_look_in_time.png", dpi=120)

# %% Files instead of arrays: casgan_dicom.convert("study/", out="derived"), see docs/python.md
