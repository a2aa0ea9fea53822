// Mounts a player into every element with data-player, whose value is the address of an item.

import { Clock } from "./clock.js";
import { Controls } from "./controls.js";
import { Film, told } from "./film.js";
import { Plot, make } from "./plot.js";
import { Stage } from "./stage.js";

export const WARNING = "AI SYNTHETIC - NOT FOR DIAGNOSIS";
const NAMES = { source: "Source cine", derived: `Derived cine, ${WARNING}`, mixed: `Both cines, ${WARNING}` };

class Player {
  constructor(host) {
    this.host = host;
    this.url = new URL(host.dataset.player, document.baseURI).href;
    this.root = make("section", "casgan-player");
    this.root.tabIndex = 0;
    this.root.setAttribute("aria-label", "Cine player");
    this.status = make("p", "cp-status");
    this.status.setAttribute("role", "status");
    this.films = {};
    host.replaceChildren(this.root);
    this.root.append(this.status);
    this.controls = new Controls(this);
    requestAnimationFrame((now) => this.#tick(now));
  }

  async open() {
    this.status.textContent = "Loading";
    try {
      this.item = await (await told(this.url)).json();
    } catch (error) {
      this.#say(error.message);
      return;
    }
    this.show(0);
    const alone = document.querySelectorAll("[data-player]").length === 1;
    if (alone && document.activeElement === document.body) this.root.focus({ preventScroll: true });
  }

  // Show another run of the item.
  show(number) {
    for (const film of Object.values(this.films)) film.close();
    this.run = this.item.runs[number];
    this.clock = new Clock(this.run.times_ms);
    this.films = Object.fromEntries(
      Object.entries(this.run.tracks).map(([name, facts]) => {
        return [name, new Film(`${this.url}/${number}/${name}`, facts, () => this.#arrived())];
      }),
    );
    if (!this.films.source && !this.films.derived) {
      this.root.replaceChildren(this.controls.heading(), this.status);
      this.#say(this.run.missing.join(". "));
      return;
    }
    this.#build();
    this.want();
  }

  // Fetch what the stage needs from now on.
  want() {
    this.shown = null;
    for (const film of this.stage.needed) film.want(this.clock.position);
  }

  go(position) {
    this.clock.playing = false;
    this.clock.go(position);
    this.controls.refresh();
    this.want();
  }

  step(by) {
    this.go((((this.clock.position + by) % this.run.frames) + this.run.frames) % this.run.frames);
  }

  toggle() {
    this.clock.playing = !this.clock.playing;
    this.controls.refresh();
  }

  setMode(mode) {
    if (mode !== "side" && !this.stage.comparable) return;
    this.stage.mode = mode;
    this.root.dataset.mode = mode;
    this.shown = null;
    this.controls.refresh();
  }

  setCurtain(share) {
    this.stage.curtain = Math.max(0, Math.min(1, share));
    this.edge.style.left = `${100 * this.stage.curtain}%`;
    this.shown = null;
    this.controls.refresh();
  }

  setOverlay(name, on) {
    if (!this.films[name] || !this.films.derived) return;
    this.stage.overlays[name] = on;
    this.controls.refresh();
    this.want();
  }

  adjust(brightness, contrast) {
    for (const name of ["source", "derived"]) this.films[name]?.adjust(brightness, contrast);
    this.shown = null;
  }

  #build() {
    const pictures = {};
    const stage = make("div", "cp-stage");
    for (const name of ["source", "derived", "mixed"]) {
      const figure = make("figure", `cp-figure cp-${name}`);
      const canvas = make("canvas");
      canvas.dataset.picture = name;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", NAMES[name]); // until there is a frame to name
      const frame = make("div", "cp-picture");
      frame.append(canvas, ...this.#labels(name));
      figure.append(frame);
      stage.append(figure);
      pictures[name] = canvas;
    }
    this.stage = new Stage(this.films, pictures, this.run.synthetic?.banner ?? null);
    this.#shape(pictures);
    this.plot = new Plot(this.run, (position) => this.go(position));
    this.root.replaceChildren(this.controls.heading(), stage, this.controls.transport(), this.plot.element, this.status);
    this.root.dataset.source = this.films.source ? "yes" : "no";
    this.root.dataset.derived = this.films.derived ? "yes" : "no";
    this.#dragCurtain(pictures.mixed);
    this.setCurtain(0.5);
    this.setMode("side");
    this.#say(this.run.missing.join(". "));
  }

  // Words that lie on a picture: what it is, whatever is burned into it.
  #labels(name) {
    if (name === "source") return [make("span", "cp-label cp-of-source", "Source")];
    const synthetic = make("span", "cp-label cp-of-derived", WARNING);
    this.notes ??= {};
    const note = (this.notes[name] = make("span", "cp-label cp-note"));
    if (name === "derived") return [synthetic, note];
    this.edge = make("div", "cp-edge");
    return [this.edge, make("span", "cp-label cp-of-source", "Source"), synthetic, note];
  }

  // Pixels that are not square are shown as wide as they are.
  #shape(canvases) {
    for (const [name, canvas] of Object.entries(canvases)) {
      const film = this.films[name] ?? this.films.source ?? this.films.derived;
      const [high, wide] = film.facts.aspect;
      const ratio = (film.facts.columns * wide) / (film.facts.rows * high);
      canvas.parentElement.style.aspectRatio = ratio;
      canvas.parentElement.style.setProperty("--cp-wide", `${100 * ratio}cqh`);
    }
  }

  // What a picture shows, for those who do not see it, and what is special about a frame, for those who do.
  #describe(position) {
    const of = `frame ${position + 1} of ${this.run.frames}`;
    for (const [name, canvas] of Object.entries(this.stage.canvases)) canvas.setAttribute("aria-label", `${NAMES[name]}, ${of}`);
    const empty = this.films.derived && this.films.derived.frameAt(position) === null;
    const laid = this.plot.records.get(position)?.roadmap;
    const said = empty ? "This frame was not converted" : (laid?.text ?? "");
    for (const note of Object.values(this.notes)) note.textContent = said;
  }

  #dragCurtain(canvas) {
    const to = (event) => {
      if (this.stage.mode !== "curtain" || !(event.buttons & 1)) return;
      const box = canvas.getBoundingClientRect();
      this.setCurtain((event.clientX - box.left) / box.width);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      to(event);
    });
    canvas.addEventListener("pointermove", to);
  }

  #arrived() {
    const faults = Object.entries(this.films).filter(([, film]) => film.error);
    if (faults.length) this.#say(faults.map(([name, film]) => `${name}: ${film.error}`).join(". "));
    this.shown = null;
  }

  #tick(now) {
    requestAnimationFrame((next) => this.#tick(next));
    if (!this.stage) return;
    const before = this.clock.position;
    this.clock.tick(now, this.stage.ready(this.clock.due(now)));
    if (this.clock.position !== before) for (const film of this.stage.needed) film.want(this.clock.position);
    const turned = this.stage.mode === "blink" && this.stage.blink(now);
    if (this.shown === this.clock.position && !turned) return;
    if (!this.stage.ready(this.clock.position)) return;
    this.stage.draw(this.clock.position);
    this.shown = this.clock.position;
    this.root.dataset.position = this.shown;
    this.root.dataset.phase = this.stage.phase;
    this.plot.show(this.shown);
    this.#describe(this.shown);
    this.controls.show(this.shown);
  }

  #say(sentence) {
    this.status.textContent = sentence ? `${sentence[0].toUpperCase()}${sentence.slice(1)}.` : "";
  }
}

// The bar that is always there; a page may have one of its own, with data-synthetic-bar.
function warn() {
  if (document.querySelector("[data-synthetic-bar]")) return;
  const bar = make("section", "casgan-bar", WARNING);
  bar.dataset.syntheticBar = "";
  bar.setAttribute("aria-label", "Warning");
  document.body.prepend(bar);
  document.body.classList.add("casgan-barred");
}

for (const host of document.querySelectorAll("[data-player]")) {
  warn();
  new Player(host).open();
}
