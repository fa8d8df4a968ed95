/** The list of tasks: progress of those under way by their topics, the list again when one ends, and every some seconds. */

import { follow } from "../js/live.js";
import { refreshEvery, settled } from "../js/refreshing.js";
import { actOnTasks } from "./tasks-actions.js";
import { drawProgress } from "./tasks-progress.js";

const EVERY_SECONDS = 5; // new tasks come with it

/** What ends each subscription, by the task's id. @type {Map<string, () => void>} */
const followed = new Map();

const list = () => /** @type {HTMLElement} */ (document.getElementById("tasks"));

/** What the address says is shown: filters and page stand in it. */
const load = () => {
  const { htmx } = /** @type {any} */ (globalThis);
  htmx.ajax("GET", location.pathname + location.search, { source: "#tasks", target: "#tasks", swap: "innerHTML" })?.catch(() => {});
};
const loadSoon = settled(load);

function followShown() {
  const shown = new Set([...document.querySelectorAll("tr[data-processing]")].map((row) => /** @type {HTMLElement} */ (row).dataset.task ?? ""));
  for (const [id, stop] of followed) {
    if (shown.has(id)) continue;
    stop();
    followed.delete(id);
  }
  for (const id of shown) if (!followed.has(id)) followed.set(id, follow(`tasks:${id}`, take, { onGap: loadSoon }));
}

/** @param {any} task */
function take(task) {
  const row = document.querySelector(`tr[data-task="${CSS.escape(task.task_id)}"]`);
  if (task.status !== "processing") loadSoon();
  else if (row) drawProgress(row, task);
}

// Empty fields have no place in the address.
document.addEventListener("htmx:configRequest", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.elt.id !== "filters") return;
  for (const [name, value] of Object.entries(detail.parameters)) if (!value) delete detail.parameters[name];
});
// A refresh that was asked for before the filter changed is of another list.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  if (detail.requestConfig.elt === list() && new URL(detail.xhr.responseURL).search !== location.search) detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (/** @type {CustomEvent} */ (event).detail.target === list()) followShown();
});
list().addEventListener("nautilus:refresh", load);
refreshEvery(list, EVERY_SECONDS);
actOnTasks(loadSoon);
followShown();
