/** Parts of a page that the server draws anew when deployments change. */

import { follow } from "../js/live.js";

const SETTLE_MILLISECONDS = 700; // a pipeline says several things at once, a replay of recorded days thousands

// Of a deployment itself, not of what it decides and trades.
const CHANGES = [
  "deployment.asked",
  "deployment.step",
  "deployment.awaiting_approval",
  "deployment.activated",
  "deployment.error",
  "deployment.failed",
  "deployment.superseded",
  "deployment.rolled_back",
];

/** @type {Set<string>} */
const waiting = new Set();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let settling;

/** Draws these parts anew, soon: however often it is called, each about once in a second. @param {string[]} ids */
export function refresh(...ids) {
  for (const id of ids) waiting.add(id);
  settling ??= setTimeout(() => {
    settling = undefined;
    for (const id of waiting) document.getElementById(id)?.dispatchEvent(new Event("nautilus:refresh"));
    waiting.clear();
  }, SETTLE_MILLISECONDS);
}

/** Follows the deployments of the list, also those that come into it later. @param {() => void} changed */
export function followListed(changed) {
  const list = document.getElementById("deployments");
  if (!list) return;
  const options = { onGap: changed, filters: { event: { in: CHANGES } } };
  if (list.hasAttribute("data-follows-all")) {
    follow("deployments:*", changed, options);
    return;
  }
  const followed = new Set();
  const followNew = () =>
    list.querySelectorAll("[data-follow]").forEach((each) => {
      const id = /** @type {HTMLElement} */ (each).dataset.follow ?? "";
      if (followed.has(id)) return;
      followed.add(id);
      follow(`deployments:${id}`, changed, options);
    });
  list.addEventListener("htmx:afterSwap", followNew);
  followNew();
}
