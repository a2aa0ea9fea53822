// One clock for all cines of a run: which position is shown at which moment. Milliseconds; no timer of its own.

export class Clock {
  // times: when each position is shown, the first 0, and at last when the run is over.
  constructor(times) {
    this.times = times;
    this.speed = 1;
    this.playing = false;
    this.position = 0;
    this.time = 0;
    this.last = null;
  }

  get count() {
    return this.times.length - 1;
  }

  get duration() {
    return this.times[this.count];
  }

  // The position that a moment of the page would show. Nothing changes until `show`.
  due(now) {
    if (!this.playing || this.last === null) return this.position;
    const passed = Math.min(now - this.last, 1000); // a tab that slept goes on where it was
    const time = (this.time + passed * this.speed) % this.duration;
    return this.at(time);
  }

  // Go on to a moment of the page; `ready` is whether the position that is due can be shown. If not, wait.
  tick(now, ready) {
    if (this.playing && this.last !== null && ready) {
      const passed = Math.min(now - this.last, 1000);
      this.time = (this.time + passed * this.speed) % this.duration;
      this.position = this.at(this.time);
    }
    this.last = now;
  }

  at(time) {
    let low = 0;
    let high = this.count - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= time) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  go(position) {
    this.position = Math.max(0, Math.min(this.count - 1, position));
    this.time = this.times[this.position];
  }
}
