// What waits for a person: dead letters, series that ended badly, bytes that nothing can be made of.

import { act, button } from "../acting.js";
import { get } from "../api.js";
import { el, jobLink, mark, section, show, table, when } from "../dom.js";
import { poll } from "../poll.js";

const LIMIT = 100;

export function begin(place, mayAct) {
  const again = poll(
    async () => ({
      letters: await get("/dead-letters", { limit: LIMIT }),
      jobs: await get("/jobs", { state: ["quarantined", "failed", "lacking"], limit: LIMIT }),
      quarantine: await get("/quarantine", { limit: LIMIT }),
    }),
    ({ letters, jobs, quarantine }) => show(place,
      section("Dead letters", all(letters), lettersTable(letters.letters), rest(letters.total)),
      section("Series that ended badly", endedTable(jobs.jobs), rest(jobs.total)),
      section("Quarantine", quarantineTable(quarantine.files), rest(quarantine.total))),
  );

  function retry(job) {
    if (!mayAct) {
      return null;
    }
    const path = `/jobs/${encodeURIComponent(job)}/retry`;
    return button("Try again", `Try job ${job} again`, () => act(path, undefined, `Job ${job} is tried again.`, again));
  }

  function endedTable(jobs) {
    return table("Series that were not converted to their end", [
      ["job", (row) => jobLink(row.job)],
      ["state", (row) => mark(row.state)],
      ["last change", (row) => when(row.changed_at)],
      ["from", (row) => row.peer],
      ["why", (row) => row.reasons.join("; ")],
      ...(mayAct ? [["act", (row) => retry(row.job)]] : []),
    ], jobs, "There is none.");
  }

  function all(letters) {
    const run = () => act("/dead-letters/retry", undefined, "All dead letters are sent again.", again);
    return mayAct && letters.total ? el("div", { class: "controls" }, button("Send all again", "Send all dead letters again", run)) : null;
  }

  function lettersTable(letters) {
    return table("Deliveries that were given up", [
      ["job", (row) => jobLink(row.job)],
      ["destination", (row) => row.destination],
      ["given up", (row) => when(row.changed_at)],
      ["attempts", (row) => `${row.attempts}`, "number"],
      ["why", (row) => row.reason],
      ...(mayAct ? [["act", (row) => retry(row.job)]] : []),
    ], letters, "There is no dead letter.");
  }
}

function quarantineTable(files) {
  return table("Data sets that nothing can be made of", [
    ["file", (row) => el("span", { class: "uid" }, row.file)],
    ["came in", (row) => when(row.at)],
    ["from", (row) => `${row.peer} at ${row.address}`],
    ["why", (row) => row.reason],
  ], files, "Nothing lies in quarantine.");
}

function rest(total) {
  return total > LIMIT ? el("p", { class: "note" }, `The latest ${LIMIT} of ${total}.`) : null;
}
