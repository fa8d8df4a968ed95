/** Computing a performance, its report, and drawing anew what a new result changes. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { keepChosen } from "../js/chosen.js";
import { progressView, runJob, watched } from "../js/job.js";
import { follow } from "../js/live.js";
import { pageData } from "../js/page-data.js";
import { refresh, refreshEvery, settled } from "../js/refreshing.js";
import { drawCurves, drawRolling } from "./performance-charts.js";

const PERFORMANCE = "/api/v1/sprint3/analytics/performance";
// It says whether the book or the prices have changed since.
const SUMMARY_SECONDS = 20;

const known = pageData("known");

// A job's end comes from the task and from the topic, often at once.
const refreshResult = settled(() => refresh(document.getElementById("result")));
const refreshReport = settled(() => refresh(document.getElementById("report")));

/** @param {string} id */
const place = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {HTMLFormElement} form */
function inputsOf(form) {
  const fields = new FormData(form);
  const text = (/** @type {string} */ name) => String(fields.get(name) ?? "").trim();
  return {
    portfolio_id: known.portfolio_id,
    start_date: text("start_date"),
    end_date: text("end_date"),
    ...(text("benchmark") && { benchmark: text("benchmark") }),
    // 0.7 / 100 is 0.006999999999999999.
    risk_free_rate: Number((Number(text("risk_free_percent")) / 100).toPrecision(12)),
  };
}

/** @param {HTMLFormElement} form */
function compute(form) {
  const button = /** @type {Element} */ (form.querySelector("button[type=submit]"));
  whileBusy(button, () => runJob(place("compute-progress"), () => post(PERFORMANCE, inputsOf(form)), refreshResult));
}

keepChosen((id) => (id === "result" ? refreshResult() : refresh(document.getElementById(id))));

let makesReport = false;

/**
 * Has the report made in all formats: those who ask meanwhile share the task, and one that failed is tried again.
 * @param {() => void} [then]
 */
async function makeReport(then) {
  if (makesReport) return;
  makesReport = true;
  const path = `${PERFORMANCE}/${encodeURIComponent(known.portfolio_id)}/report`;
  await runJob(place("report-progress"), () => post(path), () => {
    refreshReport();
    then?.();
  });
  makesReport = false;
}

/** @param {string} address @param {string} format */
function download(address, format) {
  if (format === "html") return location.assign(address); // a new tab is a browser's to open only at once after a click
  const link = document.createElement("a");
  link.href = address;
  link.download = "";
  link.click();
}

const form = /** @type {HTMLFormElement | null} */ (document.getElementById("compute"));
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  compute(form);
});

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const period = /** @type {HTMLElement | null} */ (target.closest("[data-start]"));
  if (period && form) {
    /** @type {HTMLInputElement} */ (form.elements.namedItem("start_date")).value = period.dataset.start ?? "";
    /** @type {HTMLInputElement} */ (form.elements.namedItem("end_date")).value = period.dataset.end ?? "";
  }
  if (target.closest("[data-compute]")) form?.requestSubmit();
  if (target.closest("[data-report-anew]")) makeReport();
  const link = /** @type {HTMLAnchorElement | null} */ (target.closest("a[data-report]"));
  if (link && !("kept" in link.dataset)) {
    event.preventDefault();
    makeReport(() => download(link.href, link.dataset.report ?? ""));
  }
});

document.getElementById("portfolio")?.addEventListener("change", (event) => {
  location.assign(/** @type {HTMLSelectElement} */ (event.target).value);
});

document.addEventListener("htmx:afterSwap", (event) => {
  const { id } = /** @type {HTMLElement} */ (event.target);
  if (id === "result") drawCurves();
  if (id === "result" || id === "rolling") drawRolling();
});

if (form && known.task_id) watched(known.task_id, progressView(place("compute-progress"))).then(refreshResult);

follow(
  `analytics:updates:${known.portfolio_id}`,
  ({ event }) => (event === "report.made" ? refreshReport() : refreshResult()),
  { filters: { event: { in: known.events } }, onGap: refreshResult },
);

refreshEvery(() => document.getElementById("summary"), SUMMARY_SECONDS);

drawCurves();
drawRolling();
