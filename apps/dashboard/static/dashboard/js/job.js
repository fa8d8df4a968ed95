/**
 * A job from click to result: `<section data-job>` with a button, and a place that this fills with progress, cancel and
 * the end. The result is handed to the page, which draws it.
 *
 *     runJob(element, () => post("/api/v1/sprint3/analytics/risk/analyze", inputs), (task) => draw(task.result));
 */

import { ask, get } from "./api.js";
import { whileBusy } from "./busy.js";
import { span } from "./format.js";
import { follow } from "./live.js";
import { say } from "./messages.js";

const TASKS = "/api/v1/tasks";
const LOOK_MILLISECONDS = 5000; // where no push comes, as while the connection is away

/**
 * @param {HTMLElement} place Filled with the progress; anything in it before is replaced.
 * @param {() => Promise<{task_id: string}>} submit
 * @param {(task: any) => void} [onSuccess]
 * @returns {Promise<any>} The ended task; null where it was not accepted.
 */
export async function runJob(place, submit, onSuccess) {
  const view = progressView(place);
  try {
    view.words("Sending");
    const accepted = await submit();
    const task = await watched(accepted.task_id, view);
    if (task.status === "succeeded") onSuccess?.(await whole(task));
    return task;
  } catch (error) {
    view.failed(/** @type {Error} */ (error).message);
    return null;
  }
}

/** A long result is not pushed but left with its task. @param {any} task */
const whole = (task) => (task.result ? task : get(`${TASKS}/${task.task_id}`));

/** @param {string} id @param {ReturnType<typeof progressView>} view @returns {Promise<any>} */
export function watched(id, view) {
  return new Promise((resolve) => {
    const look = () => get(`${TASKS}/${id}`).then(take, () => {});
    const stop = follow(`tasks:${id}`, (data) => take(data), { onGap: look });
    const timer = setInterval(look, LOOK_MILLISECONDS);
    view.onCancel(() => ask("DELETE", `${TASKS}/${id}`).then(look));
    let ended = false;
    /** @param {any} task */
    function take(task) {
      if (ended) return;
      view.task(task);
      if (task.status === "processing") return;
      ended = true;
      stop();
      clearInterval(timer);
      resolve(task);
    }
    look();
  });
}

/** @param {HTMLElement} place */
export function progressView(place) {
  place.replaceChildren();
  place.hidden = false;
  const words = document.createElement("p");
  words.setAttribute("role", "status");
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "Progress");
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.textContent = "Cancel";
  cancel.hidden = true;
  place.append(words, bar, cancel);
  const removeControls = () => {
    const isFocused = cancel === document.activeElement;
    bar.remove();
    cancel.remove();
    if (!isFocused) return;
    words.tabIndex = -1;
    words.focus();
  };
  return {
    /** @param {string} text */
    words(text) {
      words.textContent = text;
    },
    /** Where it fails it may be tried again. @param {() => Promise<unknown>} work */
    onCancel(work) {
      cancel.hidden = false;
      cancel.addEventListener("click", () => {
        whileBusy(cancel, work).catch((error) => say(/** @type {Error} */ (error).message, "bad"));
      });
    },
    /** @param {any} task */
    task(task) {
      if (task.status !== "processing") return this.ended(task);
      const { done, total, message, eta_seconds: eta } = task.progress ?? {};
      if (total) {
        bar.max = total;
        bar.value = done;
      }
      words.textContent = progressWords(task.started_at, message, done, total, eta);
    },
    /** @param {any} task */
    ended(task) {
      removeControls();
      if (task.status === "succeeded") words.textContent = "Done";
      else if (task.status === "cancelled") words.textContent = "Cancelled";
      else this.failed([task.error?.detail, task.error?.remedy].filter(Boolean).join(" ") || "It failed.");
    },
    /** @param {string} text */
    failed(text) {
      removeControls();
      words.className = "failed";
      words.setAttribute("role", "alert");
      words.textContent = text;
    },
  };
}

/** @param {string | null} started @param {string} [message] @param {number} [done] @param {number} [total] @param {number | null} [eta] */
export function progressWords(started, message, done, total, eta) {
  if (!started) return "Waiting for a worker";
  const share = total ? `${Math.floor((100 * (done ?? 0)) / total)} %` : "";
  const left = eta !== null && eta !== undefined && eta >= 1 ? `about ${span(eta)} left` : "";
  return [message || "Computing", share, left].filter(Boolean).join(", ");
}
