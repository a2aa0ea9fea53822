// Looks again and again, but only while somebody sees it; shows only what has changed.

const EVERY_MS = 2000;
const trouble = document.getElementById("trouble");

export function told(error) {
  trouble.textContent = error.message;
  trouble.hidden = false;
}

export function poll(look, show) {
  let last, timer;
  async function again() {
    clearTimeout(timer);
    if (document.hidden) {
      return;
    }
    try {
      const found = await look();
      trouble.hidden = true;
      const text = JSON.stringify(found, (name, value) => (name === "at" ? undefined : value));
      if (text !== last) {
        last = text;
        show(found);
      }
    } catch (error) {
      told(error);
    }
    clearTimeout(timer);
    timer = setTimeout(again, EVERY_MS);
  }
  document.addEventListener("visibilitychange", again);
  again();
  return again;
}
