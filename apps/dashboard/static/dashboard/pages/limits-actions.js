/** What the buttons of the page do, by `data-action`. Each answers whether anything has changed. */

import { ask, post } from "../js/api.js";
import { confirmed } from "../js/confirm.js";
import { say } from "../js/messages.js";
import { askReason, showTrial } from "./limits-dialogs.js";
import { START_MONITORING, STOP_MONITORING } from "./monitoring.js";

const RISK = "/api/v1/sprint3/risk";

/** @type {Record<string, {title: string, text: string, action: string, danger: boolean}>} */
const TRADING = {
  halted: {
    title: "Halt all trading?",
    text: "From the next check on no trade of any portfolio is approved, until somebody lets trading go on.",
    action: "Halt all trading",
    danger: true,
  },
  reducing: {
    title: "Let trading only reduce?",
    text: "From the next check on only trades that shrink a position are approved, on every portfolio.",
    action: "Let it only reduce",
    danger: true,
  },
  active: {
    title: "Let trading go on?",
    text: "Trades are approved again within their limits. A portfolio that is halted by itself stays so.",
    action: "Let trading go on",
    danger: false,
  },
};

/** @param {HTMLElement} button */
const change = (button) => `${RISK}/limits/${button.dataset.limit}/changes/${button.dataset.change}`;
/** @param {HTMLElement} button */
const channel = ({ dataset }) => `${RISK}/alerts/${encodeURIComponent(dataset.portfolio ?? "")}/channels/${dataset.channel}`;

/** @type {Record<string, (button: HTMLElement) => Promise<boolean> | boolean>} */
export const ACTIONS = {
  close(button) {
    button.closest("dialog")?.close();
    return false;
  },

  "start-monitoring": () => switchMonitoring(START_MONITORING),

  "stop-monitoring": () => switchMonitoring(STOP_MONITORING),

  "set-trading": ({ dataset }) =>
    askReason({
      ...TRADING[dataset.state ?? ""],
      work: (reason) => post(`${RISK}/halt`, { trading_state: dataset.state, reason }),
    }),

  async approve(button) {
    const text = "The change takes effect at once, in your name beside that of who asked for it.";
    if (!(await confirmed({ title: "Approve this change?", text, action: "Approve", danger: false }))) return false;
    await post(`${change(button)}/approve`);
    say(`The change of limit ${button.dataset.limit} is in force.`, "good");
    return true;
  },

  async reject(button) {
    const text = "The limit stays as it is. Who asked for the change can ask again.";
    if (!(await confirmed({ title: "Reject this change?", text, action: "Reject" }))) return false;
    await post(`${change(button)}/reject`);
    say(`Limit ${button.dataset.limit} stays as it is.`, "good");
    return true;
  },

  "delete-limit": ({ dataset }) =>
    askReason({
      title: `Delete limit ${dataset.limit}?`,
      text: `${dataset.name}. ${dataset.waits === undefined ? "Its history stays, its open alerts are closed." : "It blocks, so somebody else has to approve."}`,
      action: "Delete it",
      danger: true,
      work: async (reason) => {
        const waits = await ask("DELETE", `${RISK}/limits/${dataset.limit}`, { reason });
        say(waits ? `To delete limit ${dataset.limit} waits for somebody else's approval.` : `Limit ${dataset.limit} is deleted.`, "good");
      },
    }),

  async acknowledge({ dataset }) {
    await acknowledge(dataset.event ?? "");
    return true;
  },

  async "acknowledge-all"() {
    const ids = [...document.querySelectorAll("[data-action=acknowledge]")].map((each) => /** @type {HTMLElement} */ (each).dataset.event ?? "");
    const title = `Acknowledge ${ids.length} alert${ids.length === 1 ? "" : "s"}?`;
    const text = "You say that you look after them: there are no reminders and no escalation any more.";
    if (!(await confirmed({ title, text, action: "Acknowledge", danger: false }))) return false;
    for (const id of ids) await acknowledge(id);
    say(`${ids.length} acknowledged.`, "good");
    return true;
  },

  async resend({ dataset }) {
    await post(`${RISK}/alerts/deliveries/${dataset.delivery}/resend`);
    say("It is sent again.", "good");
    return true;
  },

  "test-channels": ({ dataset }) => showTrial(dataset.portfolio ?? ""),

  async "switch-channel"(button) {
    await ask("PATCH", channel(button), { enabled: button.dataset.enabled === "true" });
    return true;
  },

  async "delete-channel"(button) {
    const text = `${button.dataset.name} is told of nothing any more. What waits to be sent is given up.`;
    if (!(await confirmed({ title: "Delete this channel?", text, action: "Delete it" }))) return false;
    await ask("DELETE", channel(button));
    return true;
  },
};

/** @param {typeof START_MONITORING} how */
async function switchMonitoring({ question, path, words }) {
  if (question && !(await confirmed(question))) return false;
  await post(path);
  say(words(), "good");
  return true;
}

/** @param {string} id */
const acknowledge = (id) => post(`${RISK}/alerts/events/${id}/acknowledge`);
