// Draws what is shown at a position: side by side, in turns, with a curtain between, or the difference.
//
// Canvases have the pixels of the cine; the page scales them. Overlays lie on synthetic pixels only.

export const MODES = ["side", "blink", "curtain", "difference"];
export const BLINK_MS = 500; // each cine; two changes a second are below what can harm
const CONTEXT = { alpha: false, willReadFrequently: true };
const AMBER = [255, 170, 40];
const CYAN = [70, 215, 235];

export class Stage {
  // films: by the names of their tracks; canvases: source, derived, mixed; banner: where one is burned in, or null.
  constructor(films, canvases, banner) {
    this.films = films;
    this.banner = banner;
    this.canvases = canvases;
    this.mode = "side";
    this.curtain = 0.5;
    this.overlays = { attention: false, vessels: false };
    this.phase = "source";
    this.buffers = new Map();
    const first = films.source ?? films.derived;
    for (const canvas of Object.values(canvases)) {
      canvas.width = first.facts.columns;
      canvas.height = first.facts.rows;
    }
    if (films.derived) {
      canvases.derived.width = films.derived.facts.columns;
      canvases.derived.height = films.derived.facts.rows;
    }
  }

  // Whether both cines have the same number of pixels, which all modes but side by side need.
  get comparable() {
    const { source, derived } = this.films;
    if (!source || !derived) return false;
    return source.facts.rows === derived.facts.rows && source.facts.columns === derived.facts.columns;
  }

  // The films that have to have come before anything is drawn.
  get needed() {
    const { source, derived, attention, vessels } = this.films;
    const over = [this.overlays.attention && attention, this.overlays.vessels && vessels];
    return [source, derived, ...over].filter((film) => film && !film.error);
  }

  ready(position) {
    return this.needed.every((film) => film.ready(position));
  }

  // Draw a position. All that is seen is of this position, or empty.
  draw(position) {
    const wanted = (name) => this.mode !== "blink" || this.phase === name;
    const source = wanted("source") ? this.#picture("source", position) : null;
    const derived = wanted("derived") ? this.#picture("derived", position) : null;
    if (derived && this.mode !== "difference") this.#overlay(derived, position);
    if (this.mode === "side") {
      this.#put("source", source, position);
      this.#put("derived", derived, position);
    } else {
      this.#mix(source, derived, position);
    }
  }

  // Put the other cine on: for mode blink. Returns whether it changed.
  blink(now) {
    const phase = Math.floor(now / BLINK_MS) % 2 === 0 ? "source" : "derived";
    const changed = phase !== this.phase;
    this.phase = phase;
    return changed;
  }

  #mix(source, derived, position) {
    if (this.mode === "blink") {
      this.#put("mixed", this.phase === "source" ? source : derived, position);
    } else if (this.mode === "curtain") {
      this.#put("mixed", derived, position);
      const context = this.canvases.mixed.getContext("2d", CONTEXT);
      const width = Math.round(this.curtain * this.canvases.mixed.width);
      if (source && width > 0) context.putImageData(source.image, 0, 0, 0, 0, width, source.image.height);
      else if (width > 0) context.clearRect(0, 0, width, this.canvases.mixed.height);
    } else {
      this.#put("mixed", source && derived ? this.#difference(source, derived) : null, position);
    }
  }

  // Picture of a cine at a position, and its grey values for the difference; null where nothing is to be shown.
  #picture(name, position) {
    const film = this.films[name];
    const k = film?.frameAt(position) ?? null;
    if (k === null || !film.ready(position)) return null;
    const made = this.#buffer(name, film.facts);
    if (this.mode === "difference") film.grey(k, made.grey);
    else film.paint(k, made.words);
    return made;
  }

  // Middle grey where both are alike; darker where the derived cine is darker.
  #difference(source, derived) {
    const made = this.#buffer("difference", this.films.source.facts);
    for (let i = 0; i < made.words.length; i++) {
      const value = Math.max(0, Math.min(255, 128 + derived.grey[i] - source.grey[i]));
      made.words[i] = 0xff000000 | (value * 0x010101);
    }
    return made;
  }

  #overlay(derived, position) {
    for (const name of ["attention", "vessels"]) {
      const film = this.films[name];
      const k = film?.frameAt(position) ?? null;
      if (!this.overlays[name] || k === null || !film.ready(position)) continue;
      const over = this.#buffer(name, film.facts);
      if (over.grey.length !== derived.grey.length) continue;
      film.grey(k, over.grey);
      if (this.banner) blank(over.grey, film.facts.columns, this.banner); // maps have one, too
      if (name === "attention") tint(derived, over.grey);
      else outline(derived, over.grey, film.facts.columns);
    }
  }

  #buffer(name, facts) {
    const known = this.buffers.get(name);
    if (known) return known;
    const image = new ImageData(facts.columns, facts.rows);
    const made = {
      image,
      words: new Uint32Array(image.data.buffer),
      grey: new Uint8Array(facts.rows * facts.columns),
    };
    this.buffers.set(name, made);
    return made;
  }

  #put(name, picture, position) {
    const canvas = this.canvases[name];
    const context = canvas.getContext("2d", CONTEXT);
    if (picture) context.putImageData(picture.image, 0, 0);
    else context.clearRect(0, 0, canvas.width, canvas.height);
    canvas.dataset.position = position;
  }
}

// No overlay where words are burned in.
function blank(map, columns, box) {
  for (let y = box.top; y < box.bottom; y++) map.fill(0, y * columns + box.left, y * columns + box.right);
}

// Amber, the more the further a generator drew over the picture.
function tint(picture, map) {
  const bytes = picture.image.data;
  for (let i = 0; i < map.length; i++) {
    if (map[i] === 0) continue;
    const share = (0.7 * map[i]) / 255;
    for (let c = 0; c < 3; c++) bytes[4 * i + c] = Math.round((1 - share) * bytes[4 * i + c] + share * AMBER[c]);
  }
}

// The edge of a mask, one pixel wide, inside it.
function outline(picture, mask, columns) {
  const bytes = picture.image.data;
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] === 0) continue;
    const x = i % columns;
    const inside = x > 0 && x < columns - 1 && mask[i - 1] && mask[i + 1] && mask[i - columns] && mask[i + columns];
    if (inside) continue;
    for (let c = 0; c < 3; c++) bytes[4 * i + c] = CYAN[c];
  }
}
