/** One strategy: choosing versions, posting a new one, deploying, and what is deployed. */

import { post } from "../js/api.js";
import { keepChosen } from "../js/chosen.js";
import { code, dialogOf, jsonObject, number, onSubmit, refuse, text, wireDialogs } from "./strategies-forms.js";
import { followListed, refresh } from "./strategies-fragments.js";
import { offerToVerify } from "./strategies-history.js";
import { offerRollBack } from "./strategies-rollback.js";

const API = "/api/v1/sprint3/strategy";
const strategy = /** @type {HTMLElement} */ (document.querySelector("[data-strategy]")).dataset.strategy ?? "";
const changed = () => refresh("deployments", "versions");

wireDialogs();
keepChosen(refresh);
followListed(changed);
offerRollBack((answering) => location.assign(`/deployments/${answering}`));
offerToVerify(`${API}/versions/${strategy}/rebuild-history`);

// A node of the graph is a link of SVG, which htmx does not know: it does what the version's own link does.
document.addEventListener("click", (event) => {
  const node = /** @type {Element} */ (event.target).closest("[data-node]");
  if (!node || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  document.getElementById(`version-${node.getAttribute("data-node")}`)?.click();
});

document.addEventListener("htmx:afterSwap", (event) => {
  const { target, requestConfig } = /** @type {CustomEvent} */ (event).detail;
  if (target.id === "detail") shown(!(requestConfig.elt instanceof HTMLFormElement));
  if (target.id === "versions") shown(false);
});

/** The version that is shown is marked in the graph; who followed a link is led to it. @param {boolean} isLed */
function shown(isLed) {
  const chosen = document.querySelector("[data-shown]")?.getAttribute("data-shown");
  document.querySelectorAll(".version").forEach((row) => row.classList.toggle("chosen", row.getAttribute("data-version") === chosen));
  if (isLed) document.getElementById("detail-title")?.focus();
}

const newVersion = dialogOf("new-version")?.querySelector("form");
onSubmit(newVersion, async (data) => {
  const parent = newVersion?.dataset.parent;
  const content = { code: code(data, "code"), parameters: jsonObject(data, "parameters"), message: text(data, "message") };
  try {
    const made = await post(`${API}/versions/${strategy}`, { parent_version: parent ? Number(parent) : null, ...content });
    location.assign(`?version=${made.version}`);
  } catch (error) {
    const { body, message } = /** @type {import("../js/api.js").ApiError} */ (error);
    if (!body?.merge_request_id || !newVersion) throw error;
    const href = `/strategies/${strategy}/merge-requests/${body.merge_request_id}`;
    refuse(newVersion, message, { href, text: `To merge request ${body.merge_request_id}` });
    refresh("versions", "merge-requests");
  }
});

onSubmit(dialogOf("deploy")?.querySelector("form"), async (data) => {
  const answer = await post(`${API}/deploy`, deployment(data));
  location.assign(`/deployments/${answer.deployment_id}`);
});

/** What was left empty is left out: the platform's own holds then. @param {FormData} data */
function deployment(data) {
  const [share, days] = [number(data, "share"), number(data, "days")];
  const symbols = text(data, "symbols").split(/[\s,;]+/).filter(Boolean);
  const cost = number(data, "cost_bps");
  const start = text(data, "start_date");
  return {
    strategy_id: strategy,
    version: number(data, "version"),
    portfolio_id: text(data, "portfolio_id"),
    environment: text(data, "environment"),
    schedule: text(data, "schedule"),
    ...(symbols.length > 0 && { symbols }),
    ...(cost !== null && { cost_bps: cost }),
    ...(start && { start_date: start }),
    ...((share !== null || days !== null) && { canary: { share: share === null ? null : share / 100, days } }),
  };
}

shown(false);
