// One job: what it is, where it is, what went wrong, what it made, and what may be done with it.

import { act, button } from "../acting.js";
import { get } from "../api.js";
import { el, jobLink, list, mark, section, show, table, when } from "../dom.js";
import { poll, told } from "../poll.js";
import { progress } from "./jobs.js";

const PRIORITIES = ["urgent", "routine", "batch"];

export async function begin(place, mayAct) {
  const job = decodeURIComponent(location.pathname.split("/").pop());
  document.getElementById("title").textContent = `Job ${job}`;
  const path = `/jobs/${encodeURIComponent(job)}`;
  const parts = ["facts", "cines", "verdicts", "judging", "deeds", "deliveries", "objects"].map((id) => el("div", { id }));
  const [facts, cines, verdicts, judging, deeds, deliveries, objects] = parts;
  place.replaceChildren(...parts);
  const bundles = mayAct ? (await get("/rules").catch((error) => (told(error), { bundles: [] }))).bundles : [];

  let able = "";
  const again = poll(() => get(path), (found) => {
    show(facts, about(found.job));
    if (found.can_be_played && !cines.hasChildNodes()) {
      play(cines, job);
    }
    show(verdicts, section("Verdicts", verdictsTable(found.reviews)));
    show(deliveries, section("Deliveries", deliveriesTable(found.job)));
    show(objects, section("What it made", objectsTable(found.objects)));
    if (mayAct && able !== found.job.may.join()) {
      able = found.job.may.join();
      show(judging, found.job.may.includes("review") ? section("Your verdict", judge(path, found.reasons, () => again())) : "");
      show(deeds, section("What may be done", controls(path, found.job.may, bundles, () => again())));
    }
  });
}

// The player mounts itself where it finds a place for it.
function play(place, job) {
  show(place, section("Source and result", el("div", { "data-player": `/player/items/${encodeURIComponent(job)}` })));
  document.head.append(
    el("link", { rel: "stylesheet", href: "/player/static/player.css" }),
    el("script", { type: "module", src: "/player/static/player.js" }),
  );
}

function about(job) {
  const facts = [
    ["state", [mark(job.state), " ", progress(job)].filter(Boolean)],
    ["why", job.reasons.join("; ") || "nothing to say"],
    ["series", el("span", { class: "uid" }, job.series_uid)],
    ["revision", `${job.revision}`],
    ["from", job.peer],
    ["received", when(job.first_at)],
    ["last change", when(job.changed_at)],
    ["priority", job.priority || "not decided yet"],
    ["instances", `${job.instances}, ${job.frames} frames`],
    ["rule", job.rule || "none"],
  ];
  if (job.repeats) {
    facts.push(["converts once more", el("span", {}, jobLink(job.repeats), ` with ${job.bundle}`)]);
  }
  if (job.removed_at !== null) {
    facts.push(["files removed", when(job.removed_at)]);
  }
  return section("Job", list(facts));
}

function verdictsTable(reviews) {
  return table("Verdicts about what it made, the last counts", [
    ["verdict", (row) => mark(row.outcome)],
    ["reason", (row) => row.reason],
    ["more", (row) => row.text],
    ["by", (row) => row.reviewer],
    ["at", (row) => when(row.at)],
    ["sent as an object", (row) => (row.why ? `${row.record}: ${row.why}` : row.record)],
  ], reviews, "Nobody has accepted or rejected it.");
}

function judge(path, reasons, then) {
  const reason = choice("reason", "Reason to reject", reasons);
  const text = el("input", { id: "text", maxlength: "256", "data-key": "text" });
  const decide = (outcome, why) => act(`${path}/review`, { outcome, reason: why, text: text.value.trim() }, `The result is ${outcome}.`, then);
  return el("div", { class: "controls" },
    button("Accept", "Accept the result", () => decide("accepted", "")),
    reason,
    el("div", {}, el("label", { for: "text" }, "More, without patient data"), text),
    button("Reject", "Reject the result", () => decide("rejected", value(reason)), "bad"));
}

function deliveriesTable(job) {
  return table("Deliveries of this job", [
    ["destination", (row) => row.destination],
    ["state", (row) => mark(row.state)],
    ["attempts", (row) => `${row.attempts}`, "number"],
    ["next", (row) => (row.next_at === null ? "" : when(row.next_at))],
    ["why", (row) => row.reason],
  ], job.deliveries, "It goes to no destination, or not yet.");
}

function objectsTable(objects) {
  return table("Derived objects in the outbox", [
    ["SOP Instance UID", (row) => el("span", { class: "uid" }, row.sop_uid)],
    ["series", (row) => el("span", { class: "uid" }, row.series_uid)],
    ["frames", (row) => `${row.frames}`, "number"],
  ], objects, "Nothing is in the outbox.");
}

function controls(path, may, bundles, then) {
  const found = [];
  if (may.includes("retry")) {
    found.push(button("Try again", "Try this job again", () => act(`${path}/retry`, undefined, "It is tried again.", then)));
  }
  if (may.includes("priority")) {
    const chosen = choice("priority", "Priority", PRIORITIES);
    found.push(chosen, button("Set", "Set the priority", () => act(`${path}/priority`, { priority: value(chosen) }, "The priority is set.", then)));
  }
  if (may.includes("convert") && bundles.length) {
    const bundle = choice("bundle", "Convert again with", bundles);
    found.push(bundle, button("Convert", "Convert once more", () => act(`${path}/convert`, { bundle: value(bundle) }, "Another job converts it.", then)));
  }
  if (may.includes("cancel")) {
    const run = () => confirm("End this job? What a destination has already, it keeps.") && act(`${path}/cancel`, undefined, "The job is ended.", then);
    found.push(button("End it", "End this job", run, "bad"));
  }
  return found.length ? el("div", { class: "controls" }, found) : el("p", { class: "empty" }, "Nothing, in this state.");
}

function choice(id, text, words) {
  const options = words.map((word) => el("option", { value: word }, word));
  return el("div", {}, el("label", { for: id }, text), el("select", { id, "data-key": id }, options));
}

function value(control) {
  return control.querySelector("select").value;
}
