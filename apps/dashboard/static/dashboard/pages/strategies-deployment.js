/** One deployment, live: its steps, its backtest's curve, its runs and orders; approved and rolled back here. */

import { post } from "../js/api.js";
import { keepChosen } from "../js/chosen.js";
import { draw, line } from "../js/charts.js";
import { money } from "../js/format.js";
import { follow } from "../js/live.js";
import { pageData } from "../js/page-data.js";
import { dialogOf, onSubmit, wireDialogs } from "./strategies-forms.js";
import { refresh } from "./strategies-fragments.js";
import { offerRollBack } from "./strategies-rollback.js";

const id = /** @type {HTMLElement} */ (document.querySelector("[data-deployment]")).dataset.deployment ?? "";
/** @type {string | undefined} */
let status;

/** @param {any} data */
function take(data) {
  if (data.event === "deployment.run") refresh("runs", "state");
  else if (data.event === "deployment.order") refresh("orders");
  else changed(data);
}

/** @param {any} data */
function changed(data) {
  refresh("state", "steps");
  if (data.step === "backtest" || data.status !== status) refresh("backtest");
  if (data.status !== status) tell(data.status);
  status = data.status;
}

/** For screen readers: the whole card anew would be too much. @param {string} now */
function tell(now) {
  const place = document.getElementById("told");
  if (place) place.textContent = `${id} is ${now.replaceAll("_", " ")}.`;
}

const everything = () => refresh("state", "steps", "backtest", "runs", "orders");

function drawBacktest() {
  const canvas = /** @type {HTMLCanvasElement | null} */ (document.getElementById("backtest-curve"));
  if (!canvas) return;
  /** @type {[string, number][]} */
  const points = pageData("backtest-points");
  draw(canvas, () => ({
    type: "line",
    data: { labels: points.map(([day]) => day), datasets: [line("Equity", points.map(([, value]) => value))] },
    options: {
      scales: { x: { ticks: { maxTicksLimit: 6 } }, y: {} },
      plugins: { tooltip: { callbacks: { label: (/** @type {any} */ item) => money(item.parsed.y) } } },
    },
  }));
}

wireDialogs();
keepChosen(refresh);
offerRollBack((answering, asked) => (answering === asked ? everything() : location.assign(`/deployments/${answering}`)));
onSubmit(dialogOf("approve")?.querySelector("form"), async () => {
  await post(`/api/v1/sprint3/strategy/deployments/${id}/approve`);
  dialogOf("approve")?.close();
  everything();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (/** @type {CustomEvent} */ (event).detail.target.id === "backtest") drawBacktest();
});
drawBacktest();
follow(`deployments:${id}`, take, { onGap: everything });
