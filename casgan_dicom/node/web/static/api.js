// Asks the node; whoever is not logged in any more is sent to the login.

const ROOT = "/api/v1";

export class Refused extends Error {}

async function ask(path, options) {
  const answer = await fetch(ROOT + path, {
    ...options,
    headers: { "X-Casgan-Page": "1", ...options.headers },
  }).catch(() => {
    throw new Refused("the node does not answer");
  });
  if (answer.status === 401) {
    location.assign("/login");
  }
  const content = await answer.json();
  if (!answer.ok) {
    throw new Refused(content.hint ? `${content.error}: ${content.hint}` : content.error);
  }
  return content;
}

export function get(path, query = {}) {
  const words = new URLSearchParams(Object.entries(query).flatMap(([name, value]) => [value].flat().map((each) => [name, each])));
  return ask(words.size ? `${path}?${words}` : path, { method: "GET" });
}

export function post(path, body) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return ask(path, { method: "POST", ...sent });
}

export function send(path, query, file) {
  const words = new URLSearchParams(Object.entries(query).filter(([, value]) => value));
  return ask(`${path}?${words}`, { method: "POST", body: file, headers: { "Content-Type": "application/dicom" } });
}

export async function logOut() {
  await fetch("/logout", { method: "POST", headers: { "X-Casgan-Page": "1" } });
  location.assign("/login");
}
