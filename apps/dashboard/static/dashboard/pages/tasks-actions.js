/** Cancel and retry, from the list of tasks and from the page of one: buttons with `data-cancel` or `data-retry`. */

import { ask, post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { confirmed } from "../js/confirm.js";
import { say } from "../js/messages.js";

const TASKS = "/api/v1/tasks";

/**
 * @param {() => void} onChange What is shown has changed.
 * @param {(id: string) => void} [onRetried] With the id of the new task.
 */
export function actOnTasks(onChange, onRetried) {
  document.addEventListener("click", async (event) => {
    const button = /** @type {HTMLElement | null} */ (
      /** @type {Element} */ (event.target).closest?.("[data-cancel], [data-retry]")
    );
    if (!button) return;
    const { cancel: toCancel, retry: toRetry = "", kind = "" } = button.dataset;
    if (toCancel && !(await confirmed(questionBefore(toCancel, kind)))) return;
    try {
      await whileBusy(button, async () => {
        if (toCancel) await cancel(toCancel, kind);
        else onRetried?.(await retry(toRetry, kind));
      });
      onChange();
    } catch (error) {
      say(/** @type {Error} */ (error).message, "bad");
    }
  });
}

/** @param {string} id @param {string} kind */
const questionBefore = (id, kind) => ({
  title: `Cancel ${kind}?`,
  text: `The task ${id.slice(0, 8)} ends without a result. Whoever asked for the same keeps the computation.`,
  action: "Cancel the task",
});

/** @param {string} id @param {string} kind */
async function cancel(id, kind) {
  await ask("DELETE", `${TASKS}/${id}`);
  say(`${kind} is cancelled.`, "good");
}

/** @param {string} id @param {string} kind @returns {Promise<string>} */
async function retry(id, kind) {
  const accepted = await post(`${TASKS}/${id}/retry`);
  say(`${kind} is asked for again.`, "good");
  return accepted.task_id;
}
