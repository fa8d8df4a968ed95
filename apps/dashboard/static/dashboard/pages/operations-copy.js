/** `<div class="command"><pre>…</pre><button data-copy>`: the command into the clipboard, or marked where there is none. */

import { say } from "../js/messages.js";

document.addEventListener("click", async (event) => {
  const button = /** @type {Element} */ (event.target).closest?.("[data-copy]");
  const text = button?.closest(".command")?.querySelector("pre");
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text.textContent ?? "");
    say("Copied.", "good");
  } catch {
    // Browsers have a clipboard for pages that came over TLS, or from this machine.
    document.getSelection()?.selectAllChildren(text);
    say("Marked: copy it with Ctrl+C.");
  }
});
