/** What happened, at the foot of the page; read aloud by screen readers. */

const KEPT_MILLISECONDS = 8000;

/** Errors stay until they are closed. @param {string} text @param {"good" | "bad" | ""} kind */
export function say(text, kind = "") {
  const message = document.createElement("div");
  message.className = `message ${kind}`;
  if (kind === "bad") message.setAttribute("role", "alert");
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "quiet";
  close.textContent = "Close";
  close.addEventListener("click", () => message.remove());
  message.append(words, close);
  document.getElementById("messages")?.append(message);
  if (kind !== "bad") setTimeout(() => message.remove(), KEPT_MILLISECONDS);
}
