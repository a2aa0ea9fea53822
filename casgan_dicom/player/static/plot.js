// What was measured on each frame, as lines over the frames, with a cursor that is a slider.

const LANES = [
  { name: "opacified", label: "Contrast in source", low: 0, high: 1, line: 0.5, unit: (v) => `${Math.round(100 * v)} %` },
  { name: "vessels", label: "Vessel cover", low: 0, unit: (v) => `${(100 * v).toFixed(1)} %` },
  { name: "attention", label: "Attention", low: 0, unit: (v) => `${(100 * v).toFixed(1)} %` },
  { name: "domain", label: "Out of domain", low: -1, high: 1, line: 1, unit: (v) => v.toFixed(2) },
];
const WIDTH = 1000;
const HEIGHT = 100;

export class Plot {
  // run: of the item's JSON; onGo: called with a position that is asked for.
  constructor(run, onGo) {
    this.run = run;
    this.records = new Map(run.records.map((record) => [record.position, record]));
    this.element = make("div", "cp-plot");
    this.readings = new Map();
    this.cursors = [];
    for (const lane of LANES) if (run.records.some((record) => record[lane.name] !== undefined)) this.#lane(lane);
    if (run.records.some((record) => record.roadmap)) this.#roadmap();
    if (run.r_waves_ms.length) this.#rWaves();
    this.#slider(onGo);
  }

  show(position) {
    const record = this.records.get(position) ?? {};
    for (const [lane, reading] of this.readings) reading.textContent = lane.read(record);
    const left = `${100 * this.#x(position)}%`;
    for (const cursor of this.cursors) cursor.style.left = left;
    this.slider.value = position;
    this.slider.setAttribute("aria-valuetext", `frame ${position + 1} of ${this.run.frames}`);
    this.time.textContent = `${(this.run.times_ms[position] / 1000).toFixed(2)} s`;
  }

  #x(position) {
    return this.run.frames > 1 ? position / (this.run.frames - 1) : 0;
  }

  #lane(lane) {
    const values = this.run.records.map((record) => record[lane.name]).filter((value) => value !== undefined);
    const low = Math.min(lane.low, ...values);
    const high = Math.max(lane.high ?? 0, ...values) || 1;
    const y = (value) => HEIGHT - (HEIGHT * (value - low)) / (high - low || 1);
    const drawing = this.#row(lane.label, (record) => (record[lane.name] === undefined ? "" : lane.unit(record[lane.name])));
    drawing.setAttribute("aria-label", `${lane.label}, ${lane.unit(Math.min(...values))} to ${lane.unit(Math.max(...values))}`);
    if (lane.line !== undefined && lane.line <= high) {
      drawing.append(shape("line", { x1: 0, x2: WIDTH, y1: y(lane.line), y2: y(lane.line), class: "cp-limit" }));
    }
    let path = "";
    let before = -2;
    let on = false;
    for (const record of this.run.records) {
      if (record.position !== before + 1) on = false; // nothing is known of the frames between
      before = record.position;
      if (record[lane.name] === undefined) continue;
      path += `${on ? "L" : "M"}${(WIDTH * this.#x(record.position)).toFixed(1)} ${y(record[lane.name]).toFixed(1)}`;
      on = true;
    }
    drawing.append(shape("path", { d: path, class: "cp-line" }));
  }

  #roadmap() {
    const read = (record) => (record.roadmap ? (record.roadmap.kind === "R" ? "R" : "refused") : "");
    const drawing = this.#row("Reference", read);
    drawing.setAttribute("aria-label", "Frames drawn from a reference, and frames that were refused");
    for (const record of this.run.records) {
      if (!record.roadmap) continue;
      const x = WIDTH * this.#x(record.position);
      const drawn = record.roadmap.kind === "R";
      const ends = drawn ? { y1: 10, y2: 90 } : { y1: 45, y2: 55 };
      drawing.append(shape("line", { x1: x, x2: x, ...ends, class: drawn ? "cp-drawn" : "cp-refused" }));
    }
  }

  #rWaves() {
    const drawing = this.#row("R waves", () => "");
    drawing.setAttribute("aria-label", `${this.run.r_waves_ms.length} R waves`);
    for (const time of this.run.r_waves_ms) {
      const x = WIDTH * this.#place(time);
      if (x >= 0 && x <= WIDTH) drawing.append(shape("line", { x1: x, x2: x, y1: 5, y2: 95, class: "cp-wave" }));
    }
  }

  // Where a time lies between the first frame and the last.
  #place(time) {
    const { times_ms: times, frames } = this.run;
    let k = 0;
    while (k < frames - 1 && times[k + 1] <= time) k++;
    const within = Math.min(1, (time - times[k]) / (times[k + 1] - times[k] || 1));
    return this.#x(k + within);
  }

  #row(label, read) {
    const name = make("span", "cp-name", label);
    const cell = make("div", "cp-cell");
    const drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    const cursor = make("div", "cp-cursor");
    cell.append(drawing, cursor);
    const reading = make("span", "cp-reading");
    this.cursors.push(cursor);
    this.readings.set({ read }, reading);
    this.element.append(name, cell, reading);
    return drawing;
  }

  #slider(onGo) {
    this.slider = make("input", "cp-scrub");
    Object.assign(this.slider, { type: "range", min: 0, max: Math.max(0, this.run.frames - 1), step: 1, value: 0 });
    this.slider.setAttribute("aria-label", "Frame");
    this.slider.addEventListener("input", () => onGo(Number(this.slider.value)));
    this.time = make("span", "cp-reading");
    this.element.append(make("span", "cp-name", "Frame"), this.slider, this.time);
  }
}

export function make(tag, name, text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}

export function shape(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
