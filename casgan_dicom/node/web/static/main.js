// Begins the page that the shell names.

import { get, logOut } from "./api.js";
import { told } from "./poll.js";

document.getElementById("logout").addEventListener("click", logOut);

try {
  const self = await get("/self");
  document.getElementById("who").textContent = `${self.name} (${self.role})`;
  const { begin } = await import(`./pages/${document.body.dataset.page}.js`);
  begin(document.getElementById("page"), self.role === "act");
} catch (error) {
  told(error);
}
