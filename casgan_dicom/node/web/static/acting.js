// Buttons that change something: there only for who may, and what came of it is said.

import { post } from "./api.js";
import { el } from "./dom.js";
import { told } from "./poll.js";

export async function act(path, body, said, then) {
  const place = document.getElementById("said");
  place.textContent = "";
  try {
    await post(path, body);
    place.textContent = said;
  } catch (error) {
    told(error);
    return;
  }
  await then?.();
}

export function button(text, name, run, kind) {
  return el("button", { type: "button", class: kind, "data-key": name, "aria-label": name, onclick: run }, text);
}
