// The frames of one cine in the browser: stored values as they come, looked up when they are shown.
//
// Frames are fetched in chunks ahead of what is shown, the first alone, so that there is a picture at once. Those
// farthest from it are let go when there are too many.

const CHUNK_BYTES = 2 * 2 ** 20;
const AHEAD_BYTES = 32 * 2 ** 20;
const KEPT_BYTES = 160 * 2 ** 20;
const BLACK = 0xff000000;

export async function told(url) {
  const answer = await fetch(url, { credentials: "same-origin" });
  if (answer.ok) return answer;
  let sentence = `the server answers ${answer.status}`;
  try {
    const fault = await answer.json();
    if (fault.error) sentence = fault.hint ? `${fault.error}. ${fault.hint}` : fault.error;
  } catch {
    // no JSON: the number has to do
  }
  throw new Error(sentence);
}

export class Film {
  // facts: of the track, from the item's JSON; onChange: called when a frame has come, or will not.
  constructor(url, facts, onChange) {
    this.url = url;
    this.facts = facts;
    this.onChange = onChange;
    this.frames = new Map();
    this.tables = new Map();
    this.masks = new Map();
    this.pixels = facts.rows * facts.columns;
    this.error = "";
    this.wanted = 0;
    this.fetching = false;
    this.closed = false;
    this.ramp = { brightness: 0, contrast: 1 };
  }

  // Frame of this cine at a position of the clock; null where there is none.
  frameAt(position) {
    const { at, frames } = this.facts;
    if (at) return at[position] ?? null;
    return position < frames ? position : null;
  }

  // Whether the position can be shown, be it that nothing is to be shown there.
  ready(position) {
    const k = this.frameAt(position);
    if (k === null) return true;
    return this.frames.has(k) && this.tables.has(this.tableOf(k)) && this.#visibleKnown(k);
  }

  // Fetch what is shown at a position, and what comes next.
  want(position) {
    let k = this.frameAt(position);
    for (let p = position; k === null && p < (this.facts.at?.length ?? 0); p++) k = this.frameAt(p);
    this.wanted = k ?? 0;
    this.#pump();
  }

  tableOf(k) {
    return this.facts.tables.length === 1 ? this.facts.tables[0] : this.facts.tables[k];
  }

  shutterOf(k) {
    return this.facts.shutters.length === 1 ? this.facts.shutters[0] : this.facts.shutters[k];
  }

  // Grey value of every pixel of a frame, 0 to 255, into a byte array.
  grey(k, into) {
    const values = this.frames.get(k);
    const { bytes } = this.#look(this.tableOf(k));
    for (let i = 0; i < values.length; i++) into[i] = bytes[values[i]];
    const shutter = this.shutterOf(k);
    if (shutter === null) return;
    const mask = this.masks.get(shutter);
    for (let i = 0; i < mask.length; i++) if (mask[i] === 0) into[i] = 0;
  }

  // The same as opaque grey pixels, a word each.
  paint(k, into) {
    const values = this.frames.get(k);
    const { words } = this.#look(this.tableOf(k));
    for (let i = 0; i < values.length; i++) into[i] = words[values[i]];
    const shutter = this.shutterOf(k);
    if (shutter === null) return;
    const mask = this.masks.get(shutter);
    for (let i = 0; i < mask.length; i++) if (mask[i] === 0) into[i] = BLACK;
  }

  // Brightness (-1 to 1) and contrast (a factor) beyond what the header says.
  adjust(brightness, contrast) {
    this.ramp = { brightness, contrast };
    for (const table of this.tables.values()) table.look = null;
  }

  close() {
    this.closed = true;
    this.frames.clear();
  }

  #visibleKnown(k) {
    const shutter = this.shutterOf(k);
    return shutter === null || this.masks.has(shutter);
  }

  // Bytes for display values in [0, 1]: rounded to the nearest, a half to the even one, as the server rounds.
  #look(number) {
    const table = this.tables.get(number);
    if (table.look) return table.look;
    const { brightness, contrast } = this.ramp;
    const plain = brightness === 0 && contrast === 1;
    const bytes = new Uint8Array(table.display.length);
    const words = new Uint32Array(table.display.length);
    for (let i = 0; i < bytes.length; i++) {
      const display = table.display[i];
      const value = plain ? display : (display - 0.5) * contrast + 0.5 + brightness;
      const level = Math.fround(Math.min(1, Math.max(0, value)) * 255);
      const floor = Math.floor(level);
      const rest = level - floor;
      bytes[i] = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
      words[i] = BLACK | (bytes[i] * 0x010101);
    }
    table.look = { bytes, words };
    return table.look;
  }

  async #pump() {
    if (this.fetching || this.closed || this.error) return;
    const span = this.#missing();
    if (!span) return;
    this.fetching = true;
    try {
      const [first, last] = span;
      const values = told(`${this.url}/frames/${first}-${last}`).then((answer) => answer.arrayBuffer());
      await Promise.all([this.#fetchLooks(first, last), values]);
      this.#keep(first, last, await values);
    } catch (error) {
      this.error = error.message;
    }
    this.fetching = false;
    if (this.closed) return;
    this.onChange();
    this.#pump();
  }

  // The next frames that are wanted and not there, as first and last; null where all are.
  #missing() {
    const { frames, frame_bytes: bytes } = this.facts;
    const ahead = Math.min(frames, Math.max(2, Math.floor(AHEAD_BYTES / bytes)));
    const chunk = this.frames.size === 0 ? 1 : Math.max(1, Math.floor(CHUNK_BYTES / bytes));
    for (let i = 0; i < ahead; i++) {
      const first = (this.wanted + i) % frames;
      if (this.frames.has(first)) continue;
      let last = first;
      while (last + 1 < frames && last + 1 - first < chunk && !this.frames.has(last + 1)) last++;
      return [first, last];
    }
    return null;
  }

  async #fetchLooks(first, last) {
    const asked = [];
    for (let k = first; k <= last; k++) {
      const [table, shutter] = [this.tableOf(k), this.shutterOf(k)];
      if (!this.tables.has(table)) {
        this.tables.set(table, { display: new Float32Array(2 ** this.facts.bits), look: null });
        asked.push(this.#fetchTable(table));
      }
      if (shutter !== null && !this.masks.has(shutter)) {
        this.masks.set(shutter, null);
        asked.push(this.#fetchMask(shutter));
      }
    }
    await Promise.all(asked);
  }

  async #fetchTable(number) {
    const answer = await told(`${this.url}/table/${number}`);
    this.tables.set(number, { display: new Float32Array(await answer.arrayBuffer()), look: null });
  }

  async #fetchMask(number) {
    const answer = await told(`${this.url}/visible/${number}`);
    this.masks.set(number, new Uint8Array(await answer.arrayBuffer()));
  }

  #keep(first, last, buffer) {
    if (this.closed) return;
    const wide = this.facts.frame_bytes > this.pixels;
    for (let k = first; k <= last; k++) {
      const from = (k - first) * this.facts.frame_bytes;
      const values = wide ? new Uint16Array(buffer, from, this.pixels) : new Uint8Array(buffer, from, this.pixels);
      this.frames.set(k, values);
    }
    const { frames, frame_bytes: bytes } = this.facts;
    const far = (k) => (k - this.wanted + frames) % frames;
    if (this.frames.size * bytes <= KEPT_BYTES) return;
    const order = [...this.frames.keys()].sort((a, b) => far(b) - far(a));
    for (const k of order) {
      if (this.frames.size * bytes <= KEPT_BYTES) break;
      this.frames.delete(k);
    }
  }
}
