// Is it well? What is queued, what runs, what is on the disk.

import { get } from "../api.js";
import { el, list, mark, section, show, size, table, when } from "../dom.js";
import { poll } from "../poll.js";

const STATES = [
  "receiving", "queued", "converting", "delivering", "done", "undelivered", "skipped", "kept", "lacking",
  "quarantined", "failed", "cancelled",
];
const ALWAYS = ["receiving", "queued", "converting", "delivering", "done"];

export function begin(place) {
  poll(
    async () => ({ status: await get("/status"), retention: await get("/retention") }),
    ({ status, retention }) => show(place, health(status), queue(status), el("div", { class: "columns" },
      processes(status), disk(status.disk, retention), certificates(status))),
  );
}

function health(status) {
  const lines = status.findings.map((each) => el("li", {}, mark(each.level), ` ${each.text}`));
  const well = el("p", { class: "note" }, "All is well.");
  return section("Is it well?", el("p", {}, mark(status.check), ` The node is ${status.phase}, version ${status.version}.`),
    lines.length ? el("ul", { class: "findings" }, lines) : well);
}

function queue(status) {
  const there = STATES.filter((state) => ALWAYS.includes(state) || status.jobs[state]);
  const counts = there.map((state) => el("li", {},
    el("a", { href: `/jobs?state=${state}`, "data-key": state }, el("strong", {}, `${status.jobs[state] ?? 0}`), state)));
  return section("Jobs", el("ul", { class: "counts" }, counts),
    el("p", { class: "note" }, `${status.instances} instances received, ${status.quarantined_instances} in quarantine.`));
}

function processes(status) {
  return section("Processes", table("Processes of the node", [
    ["process", (row) => row.role],
    ["runs as", (row) => (row.pid === null ? mark("stopped") : `${row.pid}`), "number"],
  ], status.processes, "none"));
}

function disk(found, retention) {
  const next = retention.next_at === null ? "nothing is due later" : el("span", {}, "the next ", when(retention.next_at));
  const plan = retention.keeps_everything
    ? "everything is kept"
    : el("span", {}, `${retention.count} to remove now (${size(retention.bytes)}), `, next);
  return section("Disk and retention", list([
    ["free", size(found.free_bytes)],
    ["refused below", size(found.refused_below_bytes)],
    ["spool", size(found.spool_bytes)],
    ["outbox", size(found.outbox_bytes)],
    ["quarantine", size(found.quarantine_bytes)],
    ["retention", plan],
  ]), retention.removals.length ? table("To be removed next", [
    ["what", (row) => el("span", { class: "uid" }, row.name)],
    ["size", (row) => size(row.bytes), "number"],
    ["why", (row) => row.reason],
  ], retention.removals.slice(0, 10), "") : null);
}

function certificates(status) {
  return section("Certificates", table("Certificates in the settings", [
    ["setting", (row) => row.key],
    ["days left", (row) => (row.days_left === null ? "cannot be read" : `${row.days_left}`), "number"],
  ], status.certificates, "No certificate is configured."));
}
