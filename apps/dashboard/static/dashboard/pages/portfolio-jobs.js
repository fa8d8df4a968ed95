/** The jobs of a portfolio's page: their forms, their progress, and what came of them in one sentence. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { change, money, percentChange } from "../js/format.js";
import { progressView, runJob, watched } from "../js/job.js";

/**
 * @typedef {{portfolio: string, currency: string, performance: string, with_distribution: string[],
 *   running: {id: string, kind: string}[]}} Page
 * @typedef {(cards: string[], snapshot?: string) => void} Renew
 * @typedef {object} Kind
 * @property {string} kind The task's.
 * @property {string} path
 * @property {(form: FormData) => object} body
 * @property {string[]} cards Those that are drawn anew when it has succeeded.
 * @property {(result: any, page: Page) => string} words
 */

const RISK = "/api/v1/sprint3/analytics/risk";

/** 99.9 % is 0.999, and not what binary makes of the division. @param {FormDataEntryValue | null} value */
const fraction = (value) => Number((Number(value) / 100).toPrecision(12));
/** @param {FormData} form @param {string} name */
const number = (form, name) => Number(form.get(name));

/** @type {Record<string, Kind>} */
const KINDS = {
  analyze: {
    kind: "risk.analyze",
    path: `${RISK}/analyze`,
    body: (form) => ({
      method: form.get("method"),
      distribution: form.get("distribution"),
      confidence: fraction(form.get("confidence")),
      horizon_days: number(form, "horizon_days"),
      window_days: number(form, "window_days"),
      horizon_method: form.get("horizon_method"),
    }),
    cards: ["components", "scenarios", "stored"],
    words: (result, page) => `VaR ${money(result.var)} ${page.currency}, expected shortfall ${money(result.expected_shortfall)}, as of ${result.as_of}.`,
  },
  stress: {
    kind: "risk.stress",
    path: `${RISK}/stress`,
    body: stressBody,
    cards: ["stress"],
    words: (result, page) => worstWords(result, page),
  },
  backtest: {
    kind: "risk.backtest",
    path: `${RISK}/backtest`,
    body: (form) => ({
      methods: form.getAll("methods"),
      confidence: fraction(form.get("confidence")),
      test_days: number(form, "test_days"),
      window_days: number(form, "window_days"),
      positions: form.get("positions"),
    }),
    cards: ["backtest"],
    words: (result) => `${result.observations} days: ${result.methods.map((/** @type {any} */ each) => `${each.method} ${each.exceptions}`).join(", ")} exceptions.`,
  },
  performance: {
    kind: "calculate_portfolio_performance",
    path: "/api/v1/sprint3/analytics/performance",
    body: (form) => ({
      start_date: form.get("start_date"),
      end_date: form.get("end_date"),
      risk_free_rate: fraction(form.get("risk_free_rate")),
    }),
    cards: [],
    words: (result) => `${percentChange(result.metrics.total_return)} from ${result.start_date} to ${result.end_date}.`,
  },
};

/** @param {FormData} form */
function stressBody(form) {
  const shocks = [
    ...shock(form, "all", (size) => ({ name: `All prices ${percentChange(size)}`, all: size })),
    ...shock(form, "benchmark", (size) => ({ name: `Benchmark ${percentChange(size)}`, benchmark: size })),
  ];
  const loss = form.get("reverse");
  // Asked for nothing, the server takes all moves of the past: not what somebody means who has taken them out.
  if (!form.has("past") && !shocks.length && !loss) throw new Error("Take the moves of the past, a shock, or a loss to look for.");
  const reverse = loss ? { reverse: { loss_pct: fraction(loss) } } : {};
  return { scenarios: form.has("past") ? ["all"] : [], shocks, ...reverse };
}

/** @param {FormData} form @param {string} name @param {(size: number) => object} make */
const shock = (form, name, make) => (form.get(name) ? [make(fraction(form.get(name)))] : []);

/** @param {any} result @param {Page} page */
function worstWords({ scenarios, worst, reverse }, page) {
  const row = scenarios.find((/** @type {any} */ each) => each.name === worst);
  if (row) return `Worst of ${scenarios.length}: ${row.title}, ${change(row.pnl)} ${page.currency}.`;
  return reverse ? `What loses ${money(reverse.loss)} ${page.currency} stands below.` : "";
}

/** @param {Page} page @param {Renew} renew */
export function listenToJobs(page, renew) {
  /** @type {Set<string>} */
  const own = new Set();
  document.querySelectorAll("form[data-job]").forEach((element) => {
    const form = /** @type {HTMLFormElement} */ (element);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run(form, page, own, renew);
    });
  });
  const method = /** @type {HTMLSelectElement | null} */ (document.getElementById("analyze-method"));
  method?.addEventListener("change", () => offerDistribution(method, page));
  if (method) offerDistribution(method, page);
  return { isOwn: (/** @type {string | undefined} */ id) => id !== undefined && own.has(id), own, renew };
}

/** Only where the method has one. @param {HTMLSelectElement} method @param {Page} page */
function offerDistribution(method, page) {
  const field = method.form?.querySelector("[data-distribution]");
  if (field) /** @type {HTMLElement} */ (field).hidden = !page.with_distribution.includes(method.value);
}

/** @param {HTMLFormElement} form @param {Page} page @param {Set<string>} own @param {Renew} renew */
async function run(form, page, own, renew) {
  const kind = KINDS[form.dataset.job ?? ""];
  const place = /** @type {HTMLElement} */ (form.querySelector("[data-place]"));
  const button = /** @type {Element} */ (form.querySelector("button[type=submit]"));
  const asked = new FormData(form); // before the fields could be changed again
  const submit = async () => {
    const accepted = await post(kind.path, { portfolio_id: page.portfolio, ...kind.body(asked) });
    own.add(accepted.task_id);
    return accepted;
  };
  await whileBusy(button, () => runJob(place, submit, (task) => ended(kind, task.result, page, place, renew)));
  letScroll(place);
}

/** A long refusal scrolls, by the keyboard as well. @param {Element} place */
const letScroll = (place) => place.querySelector(".failed")?.setAttribute("tabindex", "0");

/** @param {Kind} kind @param {any} result @param {Page} page @param {HTMLElement} place @param {Renew} renew */
function ended(kind, result, page, place, renew) {
  const words = document.createElement("p");
  words.textContent = kind.words(result, page);
  if (kind === KINDS.performance) words.append(" ", link(page.performance, "All of its figures"));
  else if (kind.cards[0]) words.append(" ", link(`#${kind.cards[0]}`, "See the result"));
  place.append(words);
  renew(kind.cards, result.snapshot_id);
}

/** @param {string} address @param {string} text */
function link(address, text) {
  const made = document.createElement("a");
  made.href = address;
  made.textContent = text;
  return made;
}

/**
 * Jobs that were going on when the page was opened.
 * @param {Page} page @param {ReturnType<typeof listenToJobs>} jobs
 */
export function followRunning(page, jobs) {
  for (const { id, kind } of page.running) {
    const place = document.querySelector(`[data-running="${CSS.escape(id)}"] [data-place]`);
    const found = Object.values(KINDS).find((each) => each.kind === kind);
    if (!place || !found) continue;
    jobs.own.add(id);
    watched(id, progressView(/** @type {HTMLElement} */ (place))).then((task) => {
      letScroll(place);
      if (task.status === "succeeded") jobs.renew(found.cards, task.result?.snapshot_id);
    });
  }
}
