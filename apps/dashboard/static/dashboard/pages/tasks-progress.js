/** How far a task is, drawn into the place that templates/dashboard/tasks/progress.html made for it. */

import { progressWords } from "../js/job.js";

/** @param {Element} place @param {any} task As the API and its topic tell of it. */
export function drawProgress(place, task) {
  const { done, total, message, eta_seconds: eta } = task.progress ?? {};
  const bar = /** @type {HTMLProgressElement | null} */ (place.querySelector("[data-bar]"));
  const words = place.querySelector("[data-words]");
  if (bar && total) {
    bar.max = total;
    bar.value = done;
  }
  if (words) words.textContent = progressWords(task.started_at, message, done, total, eta);
}
