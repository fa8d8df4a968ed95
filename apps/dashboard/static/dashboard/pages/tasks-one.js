/** One task: its progress while it runs, its end, cancel, retry, and the replay of its snapshot. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { runJob } from "../js/job.js";
import { follow } from "../js/live.js";
import { refresh, refreshEvery, settled } from "../js/refreshing.js";
import { actOnTasks } from "./tasks-actions.js";
import { drawProgress } from "./tasks-progress.js";

const EVERY_SECONDS = 5;

const place = () => /** @type {HTMLElement} */ (document.getElementById("task"));
const isUnderWay = () => place().querySelector("[data-processing]") !== null;
const refreshSoon = settled(() => refresh(place()));

/** @param {any} task */
function take(task) {
  if (task.status !== "processing") refreshSoon();
  else if (!place().querySelector("[data-bar]")) refreshSoon();
  else drawProgress(place(), task);
}

/** @param {HTMLElement} button */
async function replay(button) {
  const shown = document.getElementById("replayed");
  if (!shown) return;
  const submit = () => post(`/api/v1/snapshots/${button.dataset.replay}/replay`);
  await whileBusy(button, () => runJob(shown, submit, ({ result }) => tell(shown, result)));
}

/** @param {HTMLElement} shown @param {any} result */
function tell(shown, result) {
  const words = document.createElement("p");
  words.className = result.reproduced ? "positive" : "negative";
  words.textContent = result.reproduced
    ? "Reproduced: every bit of the result came out again."
    : `Not reproduced: ${result.differences_count} values differ, by ${result.max_abs_difference} at most.`;
  shown.append(words);
}

document.addEventListener("click", (event) => {
  const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest?.("[data-replay]"));
  if (button) replay(button);
});
if (isUnderWay()) follow(`tasks:${place().dataset.task}`, take, { onGap: refreshSoon });
refreshEvery(() => (isUnderWay() ? place() : null), EVERY_SECONDS);
actOnTasks(refreshSoon, (id) => location.assign(`/tasks/${id}`));
