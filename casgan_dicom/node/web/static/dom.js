// Elements out of values. Whatever comes from the node becomes text, never markup.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      made.addEventListener(name.slice(2), value);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return made;
}

export function section(title, ...children) {
  const id = `section-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return el("section", { class: "card", "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

// Columns are [title, what a row shows there, class]; a table that is too wide is scrolled by keys as well.
export function table(caption, columns, rows, none) {
  if (!rows.length) {
    return el("p", { class: "empty" }, none);
  }
  const head = columns.map(([title, , kind]) => el("th", { scope: "col", class: kind }, title));
  const body = rows.map((row) => el("tr", {}, columns.map(([, show, kind]) => el("td", { class: kind }, show(row)))));
  return el(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)),
  );
}

export function list(pairs) {
  return el("dl", {}, pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

export function when(seconds) {
  if (seconds === null) {
    return "never";
  }
  const at = new Date(seconds * 1000);
  const [date, time] = at.toLocaleString("sv-SE").split(" ");
  return el("time", { datetime: at.toISOString() }, el("span", { class: "whole" }, date), ` ${time}`);
}

export function size(bytes) {
  for (const [unit, length] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (bytes >= length) {
      return `${(bytes / length).toFixed(1)} ${unit}`;
    }
  }
  return `${bytes} bytes`;
}

const KINDS = {
  OK: "good", done: "good", sent: "good", accepted: "good", running: "good",
  WARNING: "warn", undelivered: "warn", skipped: "warn", lacking: "warn", starting: "warn", paused: "warn",
  CRITICAL: "bad", failed: "bad", quarantined: "bad", dead: "bad", rejected: "bad", stopped: "bad",
};

export function mark(word) {
  return el("span", { class: `mark ${KINDS[word] ?? ""}` }, word);
}

export function jobLink(job) {
  return el("a", { href: `/jobs/${encodeURIComponent(job)}`, class: "uid whole", "data-key": `job ${job}` }, job);
}

// Puts content in place of another, and the focus where it was: a page that updates itself takes nobody's place.
export function show(place, ...content) {
  const key = place.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  place.replaceChildren(...content);
  if (key) {
    place.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  }
}
