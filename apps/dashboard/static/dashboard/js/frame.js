/** On every page: the connection, the ages of figures, what stays when a part is drawn anew, what htmx was refused, menus that close. */

import "./freshness.js";
import "./keeping.js";
import { connect } from "./live.js";
import { say } from "./messages.js";
import "./reasons.js";

if (document.getElementById("connection")) connect();

// Django's check of forgery, for what htmx sends.
document.addEventListener("htmx:configRequest", (event) => {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1];
  if (token) /** @type {CustomEvent} */ (event).detail.headers["X-CSRFToken"] = token;
});
// The server's words for why not come as a line of HTML: shown in place, like any other answer.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.xhr.status >= 400 && detail.xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) {
    detail.shouldSwap = true;
    detail.isError = false;
  }
});
// Of what somebody has clicked. What a page asks for by itself says nothing: the frame tells of the connection, ages grow.
document.addEventListener("htmx:sendError", (event) => {
  const cause = /** @type {CustomEvent} */ (event).detail.requestConfig?.triggeringEvent;
  if (cause?.isTrusted) say("Nautilus cannot be reached. Try again in a moment.", "bad");
});

document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
  });
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    menu.removeAttribute("open");
    menu.querySelector("summary")?.focus();
  });
});
