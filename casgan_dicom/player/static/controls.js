// Everything that is pressed: heading, transport, modes, overlays, and the keys.

import { MODES } from "./stage.js";
import { make, shape } from "./plot.js";

const NAMES = { side: "Side by side", blink: "Blink", curtain: "Curtain", difference: "Difference" };
const KEYS_OF = { side: "S", blink: "B", curtain: "C", difference: "D" };
const SPEEDS = [0.125, 0.25, 0.5, 1, 2];
const ICONS = {
  first: "M5 5v14M19 5L8 12l11 7z",
  back: "M16 5L6 12l10 7z",
  play: "M7 4l13 8-13 8z",
  pause: "M7 5h4v14H7zM14 5h4v14h-4z",
  on: "M8 5l10 7-10 7z",
  last: "M19 5v14M5 5l11 7-11 7z",
};
let players = 0;

export class Controls {
  constructor(player) {
    this.player = player;
    this.id = `cp${(players += 1)}`;
    player.root.addEventListener("keydown", (event) => this.#key(event));
  }

  // View, length and maker of the run; a choice where there are several.
  heading() {
    const { item, run } = this.player;
    const heading = make("header", "cp-heading");
    if (item.runs.length > 1) heading.append(this.#runs(item.runs, run.number));
    this.view = make("h2", "cp-view", run.view || "View unknown");
    heading.append(this.view);
    const shape = run.tracks.source ?? run.tracks.derived;
    const facts = [`${run.frames} frames`, `${run.rate} fps`];
    if (shape) facts.push(`${shape.columns} × ${shape.rows}`, `${shape.bits} bit`);
    if (shape?.window) facts.push(`window ${shape.window[0]} / ${shape.window[1]}`);
    if (run.laterality) facts.push(`side ${run.laterality}`);
    if (run.simulated) facts.push("simulated");
    heading.append(make("span", "cp-facts", facts.join("  ·  ")));
    if (run.synthetic) {
      const { generator, version, program, made } = run.synthetic;
      const when = made.replace(/^(\d{4})(\d\d)(\d\d) (\d\d)(\d\d).*$/, "$1-$2-$3 $4:$5");
      heading.append(make("span", "cp-maker", `Synthetic: ${generator} ${version}, casgan-dicom ${program}, ${when}`));
    }
    heading.append(this.#about(run));
    return heading;
  }

  // What the objects say of themselves, for whoever asks.
  #about(run) {
    const about = make("details", "cp-about");
    about.append(make("summary", "", "About"));
    const list = make("dl");
    const say = (term, text) => text && list.append(make("dt", "", term), make("dd", "", text));
    say("Times", `${run.timing}, ${run.rate} frames per second`);
    for (const name of ["source", "derived"]) {
      const facts = run.tracks[name];
      if (!facts) continue;
      const what = [`${facts.columns} × ${facts.rows}, ${facts.bits} bit ${facts.photometric}`, facts.display, ...facts.notes];
      say(name === "source" ? "Source" : "Derived", what.join(". "));
    }
    if (run.synthetic) {
      say("Warning", run.synthetic.warning);
      say("How it was made", run.synthetic.how);
    }
    const scroll = make("div", "cp-said"); // by keys, too
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "About this run");
    scroll.append(list);
    about.append(scroll);
    return about;
  }

  transport() {
    const { player } = this;
    const bar = make("div", "cp-transport");
    this.play = button("Play", "play", () => player.toggle());
    this.play.classList.add("cp-play");
    this.count = make("output", "cp-count");
    bar.append(
      group("Play", [
        button("First frame", "first", () => player.go(0)),
        button("Frame back", "back", () => player.step(-1)),
        this.play,
        button("Frame on", "on", () => player.step(1)),
        button("Last frame", "last", () => player.go(player.run.frames - 1)),
      ]),
      this.count,
      this.#speed(),
      this.#modes(),
      this.#curtain(),
      this.#overlays(),
      this.#ramp(),
    );
    return bar;
  }

  // What a press of something else changed.
  refresh() {
    const { clock, stage, root } = this.player;
    if (!this.play) return;
    const name = clock.playing ? "Pause" : "Play";
    this.play.setAttribute("aria-label", name);
    this.play.title = `${name} (space)`;
    this.play.querySelector("path").setAttribute("d", ICONS[clock.playing ? "pause" : "play"]);
    root.dataset.playing = clock.playing ? "yes" : "no";
    for (const radio of this.radios) radio.checked = radio.value === stage.mode;
    for (const [overlay, box] of Object.entries(this.boxes)) box.checked = stage.overlays[overlay];
    this.slider.value = Math.round(100 * stage.curtain);
    this.speed.value = String(clock.speed);
  }

  show(position) {
    const { run } = this.player;
    this.count.textContent = `${position + 1} / ${run.frames}`;
    if (run.views.length) this.view.textContent = run.views[position] || "View unknown";
  }

  #runs(runs, number) {
    const select = make("select", "cp-runs");
    select.setAttribute("aria-label", "Run");
    for (const run of runs) {
      const what = run.synthetic ? "" : ", source alone";
      const option = make("option", "", `${run.number + 1}: ${run.view || "view unknown"}, ${run.frames} frames${what}`);
      option.value = run.number;
      option.selected = run.number === number;
      select.append(option);
    }
    select.addEventListener("change", () => {
      this.player.show(Number(select.value));
      this.player.root.querySelector(".cp-runs").focus();
    });
    return select;
  }

  #speed() {
    this.speed = make("select", "cp-speed");
    this.speed.setAttribute("aria-label", "Speed");
    for (const speed of SPEEDS) {
      const option = make("option", "", `${speed} ×`);
      option.value = speed;
      this.speed.append(option);
    }
    this.speed.addEventListener("change", () => this.#setSpeed(Number(this.speed.value)));
    return this.speed;
  }

  #modes() {
    this.radios = MODES.map((mode) => {
      const radio = make("input");
      Object.assign(radio, { type: "radio", name: `${this.id}-mode`, value: mode });
      radio.disabled = mode !== "side" && !this.player.stage.comparable;
      radio.addEventListener("change", () => this.player.setMode(mode));
      return radio;
    });
    const box = group("Comparison", this.radios.map((radio) => labelled(radio, NAMES[radio.value], KEYS_OF[radio.value])));
    box.setAttribute("role", "radiogroup");
    return box;
  }

  #curtain() {
    this.slider = make("input", "cp-slider cp-curtain");
    Object.assign(this.slider, { type: "range", min: 0, max: 100, step: 1 });
    this.slider.addEventListener("input", () => this.player.setCurtain(Number(this.slider.value) / 100));
    this.slider.setAttribute("aria-label", "Curtain edge");
    return this.slider;
  }

  #overlays() {
    this.boxes = {};
    const labels = [];
    for (const [name, text, key] of [["attention", "Attention", "A"], ["vessels", "Vessels", "V"]]) {
      const box = make("input");
      box.type = "checkbox";
      box.disabled = !this.player.films[name] || !this.player.films.derived;
      box.addEventListener("change", () => this.player.setOverlay(name, box.checked));
      this.boxes[name] = box;
      labels.push(labelled(box, text, key));
    }
    return group("Overlay", labels);
  }

  #ramp() {
    const parts = [["Brightness", -50, 50, 0], ["Contrast", 25, 400, 100]].map(([text, min, max, value]) => {
      const slider = make("input", "cp-slider");
      Object.assign(slider, { type: "range", min, max, step: 1, value });
      const label = make("label", "cp-ramp", text);
      label.append(slider);
      return { slider, label, value };
    });
    const [brightness, contrast] = parts;
    const tell = () => this.player.adjust(Number(brightness.slider.value) / 100, Number(contrast.slider.value) / 100);
    for (const part of parts) {
      part.slider.addEventListener("input", tell);
      part.slider.addEventListener("dblclick", () => {
        part.slider.value = part.value;
        tell();
      });
    }
    return group("Window", parts.map((part) => part.label));
  }

  #setSpeed(speed) {
    this.player.clock.speed = speed;
    this.refresh();
  }

  #faster(by) {
    const at = SPEEDS.indexOf(this.player.clock.speed) + by;
    if (at >= 0 && at < SPEEDS.length) this.#setSpeed(SPEEDS[at]);
  }

  #key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.player.stage) return;
    const { target } = event;
    const takes = target.matches("select, input[type=range], input[type=radio]"); // they want arrows for themselves
    const presses = target.matches("button, input, select"); // and these the space bar
    const act = this.#action(event, takes, presses);
    if (!act) return;
    event.preventDefault();
    act();
  }

  #action(event, takes, presses) {
    const { player } = this;
    const { stage, run } = player;
    const far = event.shiftKey ? 10 : 1;
    const arrows = {
      ArrowLeft: () => player.step(-far),
      ArrowRight: () => player.step(far),
      ArrowUp: () => this.#faster(1),
      ArrowDown: () => this.#faster(-1),
      Home: () => player.go(0),
      End: () => player.go(run.frames - 1),
    };
    if (event.key in arrows) return takes ? null : arrows[event.key];
    if (event.key === " ") return presses ? null : () => player.toggle();
    if (event.target.matches("select")) return null; // letters choose an option there
    const letters = {
      s: () => player.setMode("side"),
      b: () => player.setMode("blink"),
      c: () => player.setMode("curtain"),
      d: () => player.setMode("difference"),
      a: () => player.setOverlay("attention", !stage.overlays.attention),
      v: () => player.setOverlay("vessels", !stage.overlays.vessels),
      "[": () => player.setCurtain(stage.curtain - 0.05),
      "]": () => player.setCurtain(stage.curtain + 0.05),
    };
    return letters[event.key.toLowerCase()] ?? null;
  }
}

function button(name, icon, press) {
  const element = make("button", "cp-button");
  element.type = "button";
  element.title = name;
  element.setAttribute("aria-label", name);
  const drawing = shape("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  drawing.append(shape("path", { d: ICONS[icon] }));
  element.append(drawing);
  element.addEventListener("click", press);
  return element;
}

function group(name, parts) {
  const box = make("div", "cp-group");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", name);
  box.append(...parts);
  return box;
}

function labelled(input, text, key) {
  const label = make("label", "cp-choice");
  label.title = `${text} (${key})`;
  label.append(input, make("span", "", text));
  return label;
}
