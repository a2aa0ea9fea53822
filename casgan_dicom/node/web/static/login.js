// Shows a token to the node, which answers with a cookie that no script can read.

const form = document.getElementById("login");
const trouble = document.getElementById("trouble");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  trouble.hidden = true;
  try {
    const answer = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Casgan-Page": "1" },
      body: JSON.stringify({ token: form.elements.token.value }),
    });
    if (answer.ok) {
      location.assign("/");
      return;
    }
    const said = await answer.json();
    trouble.textContent = said.hint ? `${said.error}: ${said.hint}` : said.error;
  } catch {
    trouble.textContent = "the node does not answer";
  }
  trouble.hidden = false;
});
