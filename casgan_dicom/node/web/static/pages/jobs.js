// Every job, the latest change first; what is converted shows how far it is.

import { get } from "../api.js";
import { el, jobLink, mark, section, show, table, when } from "../dom.js";
import { poll } from "../poll.js";

const LIMIT = 50;
const STATES = [
  "receiving", "queued", "converting", "delivering", "done", "undelivered", "skipped", "kept", "lacking",
  "quarantined", "failed", "cancelled",
];

export function begin(place) {
  const words = new URLSearchParams(location.search);
  const asked = { state: words.get("state") ?? "", offset: Number(words.get("offset") ?? 0) || 0 };
  const options = ["", ...STATES].map((state) => el("option", { value: state, selected: state === asked.state }, state || "any"));
  const chosen = el("select", { id: "state", onchange: () => go({ state: chosen.value, offset: 0 }) }, options);
  const rows = el("div", { id: "rows" });
  place.replaceChildren(el("div", { class: "controls" }, el("div", {}, el("label", { for: "state" }, "State"), chosen)), rows);

  const again = poll(
    () => get("/jobs", { limit: LIMIT, offset: asked.offset, ...(asked.state ? { state: asked.state } : {}) }),
    (found) => show(rows, section("Jobs", jobsTable(found.jobs), steps(found, go))),
  );

  function go(change) {
    Object.assign(asked, change);
    const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
    history.replaceState(null, "", query.size ? `/jobs?${query}` : "/jobs");
    again();
  }
}

function jobsTable(jobs) {
  return table("Jobs, the latest change first", [
    ["job", (row) => jobLink(row.job)],
    ["state", (row) => [mark(row.state), " ", row.verdict ? mark(row.verdict) : null, progress(row)]],
    ["priority", (row) => row.priority],
    ["received", (row) => when(row.first_at)],
    ["from", (row) => row.peer],
    ["frames", (row) => `${row.frames}`, "number"],
    ["made", (row) => (row.removed_at === null ? `${row.derived}` : "removed"), "number"],
    ["deliveries", (row) => row.deliveries.map((each) => `${each.destination}: ${each.state}`).join(", ")],
  ], jobs, "There are no such jobs.");
}

export function progress(row) {
  if (row.progress === null) {
    return null;
  }
  const { work, done, of } = row.progress;
  return el("span", {}, el("progress", { value: done, max: of, "aria-label": `${work}, frame ${done} of ${of}` }), ` ${work} ${done}/${of}`);
}

function steps(found, go) {
  const last = Math.min(found.offset + LIMIT, found.total);
  const step = (text, offset, there) => el("button", { type: "button", disabled: !there, "data-key": text, onclick: () => go({ offset }) }, text);
  return el("div", { class: "controls" },
    step("Newer", Math.max(0, found.offset - LIMIT), found.offset > 0),
    step("Older", found.offset + LIMIT, last < found.total),
    el("p", { class: "note" }, found.total ? `${found.offset + 1} to ${last} of ${found.total}` : "none"));
}
