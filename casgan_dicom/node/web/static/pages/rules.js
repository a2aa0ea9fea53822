// The rules in their order, and what they would do with a file: it is looked at by the node, and not kept.

import { get, send } from "../api.js";
import { el, list, section, show, size, table } from "../dom.js";
import { told } from "../poll.js";

const ABOUT = [["calling_ae", "Calling AE title"], ["called_ae", "Called AE title"], ["address", "IP address"]];

export async function begin(place) {
  try {
    const found = await get("/rules");
    show(place, section("Rules", rulesTable(found.rules)), trying(found.max_trial_bytes));
  } catch (error) {
    told(error);
  }
}

function rulesTable(rules) {
  const places = (row) => (row.converts ? ["outbox", ...row.destinations].join(", ") : "");
  return table("Rules, in the order in which they are asked", [
    ["rule", (row) => row.name],
    ["becomes", (row) => (row.converts ? "converted" : "kept, not converted")],
    ["goes to", places],
  ], rules, "There are none: every series is converted, and goes to every destination.");
}

function trying(most) {
  const fields = ABOUT.map(([name, text]) => el("div", {}, el("label", { for: name }, text), el("input", { id: name, name, maxlength: "64" })));
  const chosen = el("input", { id: "file", type: "file", onchange: () => chosen.files[0] && run(chosen.files[0]) });
  const zone = el("div", { class: "drop" },
    el("label", { for: "file" }, "Drop a DICOM file here, or choose one"), " ", chosen,
    el("p", { class: "note" }, `At most ${size(most)}. Its headers are looked at; it is not kept, converted or sent.`));
  const results = el("div", { id: "results", "aria-live": "polite" });

  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files[0]) {
      run(event.dataTransfer.files[0]);
    }
  });

  async function run(file) {
    document.getElementById("trouble").hidden = true;
    show(results, el("p", {}, "Looking"));
    const about = Object.fromEntries(ABOUT.map(([name]) => [name, document.getElementById(name).value.trim()]));
    try {
      const tried = await send("/rules/trial", about, file);
      show(results, ...tried.series.map(outcome), ...passedOver(tried.passed_over));
    } catch (error) {
      show(results);
      told(error);
    }
  }

  return section("What would become of a file?", el("div", { class: "controls" }, fields), zone, results);
}

function outcome(tried) {
  const facts = [
    ["series", el("span", { class: "uid" }, tried.series_uid)],
    ["rule", tried.rule || "none"],
    ["because", tried.because.join("; ") || "nothing speaks against it"],
  ];
  for (const text of tried.open) {
    facts.push(["if", `${text}; else the rules behind it are asked`]);
  }
  for (const text of tried.passed_over) {
    facts.push(["passed over", text]);
  }
  if (tried.convert) {
    facts.push(["becomes", `${tried.form} by ${tried.bundle}, ${tried.mode}`]);
    facts.push(["priority", tried.priority || "by sender and number of frames"]);
    facts.push(["goes to", ["outbox", ...tried.destinations].join(", ")]);
  } else {
    facts.push(["becomes", "kept, not converted"]);
  }
  for (const text of tried.notes) {
    facts.push(["note", text]);
  }
  return el("div", {}, el("h3", {}, "A series"), list(facts));
}

function passedOver(counts) {
  return Object.entries(counts).map(([reason, count]) => el("p", {}, `passed over: ${count} files: ${reason}`));
}
