// Who sends here and when it last did, where results go and what waits there, what is paused.

import { act, button } from "../acting.js";
import { get } from "../api.js";
import { el, mark, section, show, table, when } from "../dom.js";
import { poll } from "../poll.js";

export function begin(place, mayAct) {
  const again = poll(
    async () => ({ peers: await get("/peers"), places: await get("/destinations") }),
    ({ peers, places }) => show(place,
      section("Peers", peersTable(peers.peers)),
      section("Destinations", destinationsTable(places.destinations)),
      el("div", { class: "columns" },
        section("Devices", devicesTable(places.devices)),
        section("Turned away", rejectionsTable(peers.rejections)))),
  );

  function pausing(what, row) {
    const [deed, text] = row.paused ? ["resume", "Resume"] : ["pause", "Pause"];
    const path = `/${what}/${encodeURIComponent(row.name)}/${deed}`;
    return button(text, `${text} ${row.name}`, () => act(path, undefined, `${row.name}: ${deed}d.`, again));
  }

  function buttons(what) {
    return mayAct ? [["act", (row) => pausing(what, row)]] : [];
  }

  function destinationsTable(rows) {
    return table("Where results go", [
      ["name", (row) => row.name],
      ["place", (row) => (row.configured ? `${row.kind}, ${row.place}` : "not configured any more")],
      ["state", (row) => (row.paused ? mark("paused") : "open")],
      ["deliveries", (row) => Object.entries(row.states).map(([state, count]) => `${count} ${state}`).join(", ") || "none"],
      ["oldest waits since", (row) => (row.oldest_at === null ? "" : when(row.oldest_at))],
      ["last sent", (row) => when(row.last_sent_at)],
      ...buttons("destinations"),
    ], rows, "Results stay in the outbox: no destination is configured.");
  }

  function devicesTable(rows) {
    return table("What converts", [
      ["device", (row) => row.name],
      ["state", (row) => (row.paused ? mark("paused") : "open")],
      ...buttons("devices"),
    ], rows, "none");
  }
}

function peersTable(rows) {
  return table("Who sends here", [
    ["AE title", (row) => row.ae_title],
    ["address", (row) => row.address || "this machine"],
    ["in the settings", (row) => (row.configured ? "yes" : "no")],
    ["instances", (row) => `${row.instances}`, "number"],
    ["last contact", (row) => when(row.last_at)],
  ], rows, "Nobody has sent anything yet.");
}

function rejectionsTable(rows) {
  return table("Who was turned away, by reason", [
    ["reason", (row) => row.reason],
    ["how often", (row) => `${row.count}`, "number"],
    ["last", (row) => when(row.last_at)],
  ], rows, "Nobody.");
}
